// SPDX-License-Identifier: Apache-2.0
// A growable byte buffer with explicit little-endian fields, and a reader that cannot run past its
// end. Both remember the first failure, so a codec checks once, at the end.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Owned bytes. Zero-initialised is a valid, empty, unlimited buffer.
struct buf {
	uint8_t *data;
	size_t len;   // bytes in use
	size_t cap;   // bytes allocated
	size_t limit; // refuses to grow past this many bytes; 0: no limit
	bool failed;  // a put did not fit or memory ran out; contents are incomplete
};

void buf_free(struct buf *b);
void buf_reset(struct buf *b); // empty, memory kept, failure forgotten
// Makes room for `n` more bytes and returns where they go, or NULL (and sets failed). The caller
// writes them and adds to len.
uint8_t *buf_reserve(struct buf *b, size_t n);
void buf_put(struct buf *b, const void *bytes, size_t n);
void buf_put_u8(struct buf *b, uint8_t v);
void buf_put_u16(struct buf *b, uint16_t v);
void buf_put_u32(struct buf *b, uint32_t v);
void buf_put_u64(struct buf *b, uint64_t v);
// A u32 length, then the bytes.
void buf_put_blob(struct buf *b, const void *bytes, size_t n);
// Drops the first n bytes (n <= len) and moves the rest down.
void buf_consume(struct buf *b, size_t n);

// Borrowed bytes, read front to back.
struct rd {
	const uint8_t *at;
	size_t left;
	bool failed; // a read passed the end or broke a cap; every later read returns zero
};

struct rd rd_make(const void *bytes, size_t n);
uint8_t rd_u8(struct rd *r);
uint16_t rd_u16(struct rd *r);
uint32_t rd_u32(struct rd *r);
uint64_t rd_u64(struct rd *r);
// The next n bytes in place, or NULL when there are fewer.
const uint8_t *rd_bytes(struct rd *r, size_t n);
// A u32 length of at most `cap`, then that many bytes in place. *ret_n is 0 on failure.
const uint8_t *rd_blob(struct rd *r, size_t cap, size_t *ret_n);

static inline void cleanup_buf_p(struct buf *b)
{
	buf_free(b);
}
#define _cleanup_buf_ __attribute__((cleanup(cleanup_buf_p)))
