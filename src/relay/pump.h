// SPDX-License-Identifier: Apache-2.0
// src/relay knows streams of bytes between QEMU and a peer; it does not know what they mean.
//
// A pump: one direction of a connection, through one bounded buffer, on non-blocking sockets. It
// never waits: its owner asks what it could do and calls it when the socket is ready.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PUMP_BYTES (256u << 10)

// A rate shared by pumps: bytes per second, with the bytes that may go now.
struct pump_rate {
	uint64_t bytes_per_s;    // 0: none
	int64_t booked_until_ns; // CLOCK_MONOTONIC until when the bytes taken so far last
	bool more;               // the last read left bytes behind: only the rate keeps them back
};

struct pump {
	int from, to; // borrowed
	uint8_t *data;
	size_t start, len;
	bool held;              // does not read
	bool eof;               // `from` has ended
	bool finished;          // `to` was told so; nothing is left to do
	uint64_t bytes;         // written to `to`
	int64_t last_ns;        // when the last of them were (CLOCK_MONOTONIC); 0: none
	struct pump_rate *rate; // NULL: none
};

// -ENOMEM. The descriptors may be set later, but before it is used.
int pump_init(struct pump *p, int from, int to, struct pump_rate *rate);
void pump_free(struct pump *p);

void pump_hold(struct pump *p, bool held);
bool pump_wants_read(const struct pump *p, int64_t now_ns);
bool pump_wants_write(const struct pump *p);
// When a pump that is only kept back by its rate may read again; -1: it is not.
int64_t pump_rate_until(const struct pump *p, int64_t now_ns);

// Move what can be moved at once. 0 or -errno of a broken socket.
int pump_read(struct pump *p, int64_t now_ns);
int pump_write(struct pump *p);
