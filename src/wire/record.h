// SPDX-License-Identifier: Apache-2.0
// Records on a vGPU data channel: a 32-byte header, then its payload (docs/interfaces.md, section
// 4). Knows the header and what each type's fields may be; not what pages and objects mean.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/error.h"

#define RECORD_MAGIC      0x43525246u // "FRRC" in memory
#define RECORD_BYTES      32u
#define RECORD_PAGE_BYTES 4096u
#define RECORD_MAX_PAGES  64u          // of one PAGES record
#define RECORD_MAX_PAGE   (1ULL << 36) // page numbers are below this (256 TiB)
#define RECORD_MAX_CHUNK  (1u << 20)   // payload bytes of OBJECT, ROUND, COMING
#define RECORD_RUN_BYTES  16u          // of one extent in ROUND: u64 first, u64 count
#define RECORD_ROOT_BYTES 24u          // payload of FINISH: u64 low, u64 high, u64 pages
#define RECORD_MAX_ERROR  1024u        // payload of ERROR

enum record_type {
	RECORD_PAGES = 1,   // `count` pages from `first`; payload their bytes
	RECORD_ZERO = 2,    // `count` pages from `first` are zero
	RECORD_FREE = 3,    // the same, and their memory can be handed back
	RECORD_OBJECT = 4,  // channel 0: a piece of one object's state; MORE: another follows
	RECORD_BARRIER = 5, // the round ends on this channel
	RECORD_FINISH = 6,  // channel 0, after its last barrier: the source's root
	RECORD_ROUND = 7,   // channel 0, first in a round: all extents, `count` in this piece
	RECORD_ACK = 8, // destination, channel 0: round `round` is complete; `count` ms of it were
			// spent on building what the objects describe
	RECORD_ERROR = 9,   // destination, channel 0: refused; payload blobs code and message
	RECORD_COMING = 10, // channel 0, after ROUND: runs of pages that will be sent, a hint
};

#define RECORD_MORE  0x01 // OBJECT, ROUND, COMING: the next record continues this one
#define RECORD_SAME  0x02 // ROUND: the extents are those of the round before; no payload
#define RECORD_QUIET 0x04 // ROUND: not announced in the VM's log (a mode's later passes)
#define RECORD_DONE  0x08 // ACK: of FINISH

struct record {
	enum record_type type;
	uint8_t flags;
	uint32_t round; // 1 and up
	uint32_t count;
	uint64_t first;
	uint64_t payload; // bytes that follow the header
};

void record_encode(const struct record *r, uint8_t ret[RECORD_BYTES]);
// Checks every field against what its type allows; nothing that passes can overflow when added or
// multiplied. -EBADMSG "bad-record" otherwise, with the field.
int record_decode(const uint8_t in[RECORD_BYTES], struct record *ret, struct ferry_error *e);

// The payload of ERROR. Decoding never fails: bad bytes give a plain text.
void record_error_encode(const struct ferry_error *from, struct buf *to);
void record_error_decode(const void *bytes, size_t n, struct ferry_error *ret);
