// SPDX-License-Identifier: Apache-2.0
#include "guest/stream/request.h"

#include <stddef.h>
#include "guest/stream/session.h"

static struct request **bucket_of(uint32_t seq)
{
	return &session.requests[seq % REQUEST_BUCKETS];
}

static struct request *find(uint32_t seq)
{
	struct request *r = *bucket_of(seq);

	while (r && r->seq != seq)
		r = r->next;
	return r;
}

void request_begin(struct request *r, uint32_t seq)
{
	struct request **bucket = bucket_of(seq);

	r->seq = seq;
	r->next = *bucket;
	*bucket = r;
}

void request_forget(struct request *r)
{
	struct request **at = bucket_of(r->seq);

	while (*at && *at != r)
		at = &(*at)->next;
	if (*at)
		*at = r->next;
}

static void finish(struct request *r, cl_int status)
{
	request_forget(r);
	r->status = status;
	r->over = true;
	if (r->done)
		r->done(r);
}

static bool is_over(const void *arg)
{
	return ((const struct request *)arg)->over;
}

cl_int request_wait(struct request *r)
{
	cl_int err = session_wait(is_over, r);

	if (!r->over)
		request_forget(r);
	return err ? err : r->status;
}

cl_int request_status(uint32_t seq)
{
	struct request answer = { 0 };

	request_begin(&answer, seq);
	return request_wait(&answer);
}

bool request_data(uint32_t seq, uint64_t offset, const uint8_t *bytes, size_t n)
{
	struct request *r = find(seq);

	if (!r || offset != r->got)
		return false;
	r->got += n;
	if (r->region.base) {
		if (r->got > region_bytes(&r->region))
			return false;
		region_scatter(&r->region, offset, bytes, n);
		return true;
	}
	buf_put(&r->body, bytes, n);
	return !r->body.failed;
}

bool request_answer(uint32_t seq, cl_int status, uint64_t bytes)
{
	struct request *r = find(seq);

	if (!r || bytes != r->got)
		return false;
	if (r->region.base && status == CL_SUCCESS && r->got != region_bytes(&r->region))
		return false;
	session_note_read(seq);
	finish(r, status);
	return true;
}

void requests_fail(cl_int status)
{
	for (size_t i = 0; i < REQUEST_BUCKETS; i++)
		while (session.requests[i])
			finish(session.requests[i], status);
}
