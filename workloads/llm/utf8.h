// SPDX-License-Identifier: Apache-2.0
// UTF-8: characters out of bytes, and text that arrives in pieces which end inside characters.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "bytes.h"

#define UTF8_INVALID 0xfffdu // what stands for a byte that is part of no character

// The first character of `len` bytes (at least one). Returns how many bytes it takes; an invalid
// byte takes one and gives UTF8_INVALID. Overlong forms and surrogates are invalid (RFC 3629).
size_t utf8_decode(const char *text, size_t len, uint32_t *ret);

// Writes a character below 0x110000; returns its 1 to 4 bytes.
size_t utf8_encode(uint32_t code, char out[4]);

// Bytes held back until the character is whole.
struct utf8_stream {
	char held[4];
	unsigned n;
};

// Appends to `out` what is whole after these bytes; invalid ones become U+FFFD.
void utf8_feed(struct utf8_stream *s, const char *data, size_t len, struct bytes *out);

// Ends the text: what is still held is invalid.
void utf8_end(struct utf8_stream *s, struct bytes *out);
