// SPDX-License-Identifier: Apache-2.0
// Sizes and rates as people write them.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

// "512M", "1GiB", "4096", "1.5g": powers of 1024 with K, M, G, T (an "i", "B" or "iB" may follow,
// case does not matter). Code "bad-size". The result fits int64_t.
int size_parse(const char *text, uint64_t *ret_bytes, struct ferry_error *e);

// "1gbit", "800mbit" (bits per second, powers of 1000), "100M", "100MB/s" (bytes per second,
// powers of 1000, as networks count), "off" or "0": none, which is 0. Code "bad-rate".
int rate_parse(const char *text, uint64_t *ret_bytes_per_s, struct ferry_error *e);

// "512 MiB", "1.5 GiB", "17 B"; at most 16 bytes with the NUL.
void size_format(uint64_t bytes, char *ret, size_t size);
// "1.2 GB/s", "117 MB/s".
void rate_format(double bytes_per_s, char *ret, size_t size);
