// SPDX-License-Identifier: Apache-2.0
// A growing byte buffer with a cap, consumed from the front.
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct bytes {
	char *data;
	size_t len, size;
	bool failed; // out of memory or over the cap; sticky, and later appends do nothing
};

#define BYTES_CAP (64u << 20)

void bytes_add(struct bytes *b, const void *data, size_t len);
void bytes_print(struct bytes *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

// Drops the first `len` bytes.
void bytes_drop(struct bytes *b, size_t len);
void bytes_free(struct bytes *b);
