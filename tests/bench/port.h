// SPDX-License-Identifier: Apache-2.0
// What the guest (port_guest.c) asks of the host (port_host.c) over a raw port, little-endian as both are.
#pragma once

#include <stdint.h>

#define PORT_FRAME 64u           // bytes of an echo
#define PORT_WRITE (32u << 10)   // of one write: stays whole in virtio_console
#define PORT_BULK  (64ull << 20) // bytes of a bulk transfer

enum port_op {
	PORT_ECHO = 1, // then `n` frames, each sent back
	PORT_SINK,     // then `n` bytes, answered by one
	PORT_SOURCE,   // answered by `n` bytes
};

struct port_request {
	uint64_t op, n;
};
