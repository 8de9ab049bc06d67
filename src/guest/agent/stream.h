// SPDX-License-Identifier: Apache-2.0
// One of a job's pipes, with the bytes that the host has not acknowledged. A full buffer is not
// read into: the job then waits in its write(2), as it would on a terminal that is stopped.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/loop.h"

#define STREAM_OUT_MAX (1u << 20)  // a job's unread output, each of two
#define STREAM_IN_MAX  (64u << 10) // input that a job has not read

struct stream {
	struct loop *loop;
	int fd; // -1: closed
	struct watch *watch;
	bool writes;     // to the job: its standard input
	bool ending;     // the job has ended: what the pipe holds now is all
	struct buf data; // from offset `base`
	uint64_t base;
};

// Takes the non-blocking descriptor over; -1 makes a stream that has ended. 0 or -ENOMEM.
int stream_open(struct stream *s, struct loop *l, int fd, bool writes);
void stream_free(struct stream *s);

// Output. The bytes from `offset` on, at most `cap`; earlier ones are forgotten. -ERANGE for an
// offset that was acknowledged before or lies ahead. *ret_at stays valid until the next call.
int stream_read(
	struct stream *s, uint64_t offset, size_t cap, const uint8_t **ret_at, size_t *ret_n);
// Whether nothing can follow what is buffered.
bool stream_ended(const struct stream *s);
// The job has ended: takes what is in the pipe and closes it.
void stream_end(struct stream *s);

// Input. Takes what is new of the bytes at `offset` and fits; *ret_next is the first offset not
// taken. -ERANGE when the offset lies ahead, -EPIPE when the job reads no more.
int stream_write(
	struct stream *s, uint64_t offset, const uint8_t *bytes, size_t n, uint64_t *ret_next);
// End of input, once all is written.
void stream_write_end(struct stream *s);
