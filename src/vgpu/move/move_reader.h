// SPDX-License-Identifier: Apache-2.0
// Records read from a channel: headers decoded, payloads straight into their place. When a payload
// is read, the next header is asked for in the same system call. One thread's own.
#pragma once

#include "wire/channel.h"
#include "wire/record.h"

struct move_reader {
	struct channel *channel;
	uint64_t bytes; // received so far
	uint64_t left;  // of the payload under way
	size_t have;    // of the next header
	uint8_t header[RECORD_BYTES];
};

// The next record's header: 0, or -errno with the reason ("peer-lost" when it ends).
int move_reader_next(struct move_reader *r, struct record *ret, struct ferry_error *e);
// The next n bytes of the payload of the record just returned; no more than it has.
int move_reader_payload(struct move_reader *r, void *to, size_t n, struct ferry_error *e);
