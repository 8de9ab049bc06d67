// SPDX-License-Identifier: Apache-2.0
#include "vgpu/move/move_opening.h"

#include <errno.h>
#include "wire/record.h"

#define MAX_RUNS (RECORD_MAX_CHUNK / RECORD_RUN_BYTES)

void move_opening_reset(struct move_opening *o)
{
	buf_reset(&o->bytes);
	o->object_bytes = 0;
}

void move_opening_destroy(struct move_opening *o)
{
	buf_free(&o->bytes);
	*o = (struct move_opening){ 0 };
}

// Appends a header and, when `payload` is not NULL, its payload.
static int put_record(struct buf *b, const struct record *r, const void *payload)
{
	uint8_t *header = buf_reserve(b, RECORD_BYTES);

	if (!header)
		return -ENOMEM;
	record_encode(r, header);
	b->len += RECORD_BYTES;
	if (payload)
		buf_put(b, payload, r->payload);
	return b->failed ? -ENOMEM : 0;
}

// Records of runs whose headers are completed as runs come in.
struct run_list {
	struct buf *bytes;
	struct record record;
	size_t header_at;
	int rc;
};

static void begin_list(struct run_list *l)
{
	l->header_at = l->bytes->len;
	l->record.count = 0;
	l->record.payload = 0;
	l->rc = put_record(l->bytes, &l->record, NULL);
}

static void end_list(struct run_list *l, bool more)
{
	struct record r = l->record;

	if (l->rc || l->bytes->failed) {
		l->rc = -ENOMEM;
		return;
	}
	r.flags |= more ? RECORD_MORE : 0;
	record_encode(&r, l->bytes->data + l->header_at);
}

static void put_run(struct run_list *l, struct page_run run)
{
	if (l->record.count == MAX_RUNS) {
		end_list(l, true);
		begin_list(l);
	}
	buf_put_u64(l->bytes, run.first);
	buf_put_u64(l->bytes, run.count);
	l->record.count++;
	l->record.payload += RECORD_RUN_BYTES;
}

int move_opening_round(
	struct move_opening *o, const struct page_space *s, uint32_t round, bool same, bool quiet)
{
	struct run_list l = {
		.bytes = &o->bytes,
		.record = { .type = RECORD_ROUND,
			.round = round,
			.flags = (uint8_t)((same ? RECORD_SAME : 0) | (quiet ? RECORD_QUIET : 0)) }
	};
	struct page_run run;

	begin_list(&l);
	if (!same)
		for (uint64_t p = 0; page_space_next(s, p, &run); p = page_run_end(run))
			put_run(&l, run);
	end_list(&l, false);
	return l.rc;
}

int move_opening_coming(struct move_opening *o, const struct round_plan *plan, uint32_t round)
{
	struct run_list l = { .bytes = &o->bytes,
		.record = { .type = RECORD_COMING, .round = round } };
	struct page_run run = { 0 };

	if (!plan->read_pages)
		return 0;
	begin_list(&l);
	for (size_t i = 0; i < plan->n && plan->work[i].kind == PAGE_WORK_READ; i++) {
		const struct page_work *w = &plan->work[i];

		if (run.count && page_run_end(run) == w->first) {
			run.count += w->count;
			continue;
		}
		if (run.count)
			put_run(&l, run);
		run = (struct page_run){ w->first, w->count };
	}
	put_run(&l, run);
	end_list(&l, false);
	return l.rc;
}

struct emit_to {
	struct move_opening *opening;
	uint32_t round;
};

static int emit(void *arg, const void *bytes, size_t n)
{
	struct emit_to *to = arg;
	const uint8_t *at = bytes;

	if (!n || n > MOVE_MAX_OBJECT)
		return n ? -E2BIG : -EINVAL;
	to->opening->object_bytes += n;
	while (n) {
		size_t part = n < RECORD_MAX_CHUNK ? n : RECORD_MAX_CHUNK;
		struct record r = { .type = RECORD_OBJECT,
			.flags = part < n ? RECORD_MORE : 0,
			.round = to->round,
			.payload = part };
		int rc = put_record(&to->opening->bytes, &r, at);

		if (rc)
			return rc;
		at += part;
		n -= part;
	}
	return 0;
}

int move_opening_objects(struct move_opening *o, const struct move_objects *objects, uint32_t round,
	bool final, struct ferry_error *e)
{
	struct emit_to to = { o, round };
	int rc;

	if (!objects->collect)
		return 0;
	rc = objects->collect(objects->arg, final, emit, &to, e);
	if (rc)
		return ferry_fail(e, rc, "object-state", "collecting object state failed");
	return o->bytes.failed ? ferry_fail(e, ENOMEM, "no-memory", "object state: out of memory")
			       : 0;
}
