// SPDX-License-Identifier: Apache-2.0
// The greeting that begins a session, and the constant answers that come with it.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Greets over session.fd and fills the session's credit, limits and info; bytes that follow the
// host's hello stay in session.in. `in` is scratch of `cap` bytes (session.in itself). 0, -ETIMEDOUT,
// -EUSERS when it serves too many already, -ECONNREFUSED when it refuses otherwise, or -errno. Needs the
// lock.
int hello_exchange(uint8_t *in, size_t cap);

// The host's value for a cl_platform_info (PROTO_INFO_PLATFORM) or cl_device_info; NULL when it
// sent none. Valid as long as the session.
const uint8_t *hello_info(uint32_t kind, uint32_t param, size_t *ret_n);
