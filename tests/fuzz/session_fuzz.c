// SPDX-License-Identifier: Apache-2.0
// Fuzzes the guest stream and object state. Input: bytes of a guest, after a well-formed beginning.
// Whatever comes, the vGPU must go on; and the state that results must be one that a destination can
// apply. Then the records themselves are damaged, or lie: a destination must refuse them or live with them, and
// with the guest that goes on.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/test.h"
#include "fuzz/driver.h"
#include "fuzz/send.h"
#include "vgpu/gate/command.h"
#include "vgpu/session/port.h"
#include "vgpu/session/session.h"
#include "vgpu/testing/fake_backend.h"
#include "vgpu/testing/testvgpu.h"

static void put_beginning(struct buf *b)
{
	uint32_t seq = 1000;

	SEND(b, hello, .magic = PROTO_HELLO_MAGIC, .version = PROTO_VERSION);
	SEND(b, context_create, .id = 1);
	SEND(b, queue_create, .id = 2, .context = 1);
	SEND(b, queue_create, .id = 3, .context = 1, .properties = 1);
	SEND(b, buffer_create, .id = 4, .context = 1, .size = 4096);
	SEND(b, user_event_create, .id = 5, .context = 1);
	SEND(b, program_source, .id = 6, .context = 1, .total = 1, .bytes = TEXT("x"));
	SEND(b, program_build, .program = 6);
}

// The guest goes on there with what it has sent before.
static void apply_elsewhere(struct loop *loop, const struct buf *records, const struct buf *guest,
	bool untouched, size_t damage, uint8_t with)
{
	struct testvgpu to;

	testvgpu_start_incoming(&to, loop, &backend_fake);
	int r = testvgpu_apply(&to, records, damage, with);
	while (to.v->restoring)
		loop_once(loop, 1);
	if (untouched) {
		CHECK_EQ(r, 0);
		CHECK(state_is_complete(to.v));
	}
	if (r == 0) {
		testvgpu_own(&to);
		testvgpu_feed(&to, guest->data, guest->len);
	}
	testvgpu_stop(&to);
}

struct piece {
	const uint8_t *at;
	size_t n;
};

#define PIECES_MAX 256

// One record is missing, comes twice, is cut, changes places with another, or names something else.
static void lie(const struct buf *records, uint32_t pick, struct buf *ret)
{
	struct rd r = rd_make(records->data, records->len);
	struct piece pieces[PIECES_MAX + 1];
	size_t n = 0;

	for (; r.left && n < PIECES_MAX; n++)
		pieces[n].at = rd_blob(&r, SIZE_MAX, &pieces[n].n);
	struct piece *one = &pieces[pick % n], *other = &pieces[pick / 7 % n], before = *one;
	uint64_t number = pick / 3 % 24;
	if (pick % 5 == 0)
		one->n = 0;
	else if (pick % 5 == 1)
		pieces[n++] = before;
	else if (pick % 5 == 2)
		one->n = pick / 11 % one->n;
	else if (pick % 5 == 3)
		*one = *other, *other = before;
	for (size_t i = 0; i < n; i++) {
		size_t start = ret->len + 4;
		if (!pieces[i].n)
			continue;
		buf_put_blob(ret, pieces[i].at, pieces[i].n);
		if (&pieces[i] == one && pick % 5 == 4 && before.n >= 24)
			ret->data[start + 8 + pick / 13 % (before.n / 4 - 2) * 4] = (uint8_t)number;
	}
}

// Half of all inputs find a device that is at work until all of them has come.
static void feed(struct testvgpu *t, const uint8_t *data, size_t size)
{
	if (size % 2)
		fake_hold(t->v->be);
	testvgpu_feed(t, data, size);
	fake_release(t->v->be);
	testvgpu_settle(t);
}

static void note_taken(void *arg)
{
	*(bool *)arg = true;
}

static void take_natives(struct state_source *source, struct loop *loop)
{
	bool taken = false;

	CHECK_EQ(state_source_take_natives(source, note_taken, &taken), 0);
	while (!taken)
		loop_once(loop, 1);
}

// What a session has sent and not got back is its commands' to return.
static void check_credit(const struct vgpu *v)
{
	for (size_t i = 0; i < v->n_ports; i++) {
		const struct session *s = v->ports[i] ? v->ports[i]->session : NULL;
		uint64_t all = s ? (uint64_t)s->credit + s->credit_due : VGPU_CREDIT;

		for (const struct queue *q = v->queues; s && q; q = q->next_queue)
			for (const struct command *c = q->head; c; c = c->next)
				all += q->o.session == s ? c->cost : 0;
		CHECK_EQ(all, VGPU_CREDIT);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct buf guest = { .data = (uint8_t *)data, .len = size };
	struct loop *loop = loop_new();
	_cleanup_buf_ struct buf beginning = { 0 }, records = { 0 }, lies = { 0 };
	struct state_source source;
	struct testvgpu from;

	testvgpu_start(&from, loop, &backend_fake);
	put_beginning(&beginning);
	testvgpu_feed(&from, beginning.data, beginning.len);
	feed(&from, data, size);
	state_source_begin(&source, from.v, true);
	if (size % 4 == 0)
		take_natives(&source, loop);
	testvgpu_close_gate(&from);
	CHECK_EQ(state_collect(&source, true, testvgpu_emit, &records, NULL), 0);
	state_source_end(&source);
	check_credit(from.v);
	apply_elsewhere(loop, &records, &guest, true, SIZE_MAX, 0);
	uint32_t pick = size ? (uint32_t)(data[size / 2] * 131u + data[size - 1] * 7u + size) : 0;
	apply_elsewhere(
		loop, &records, &guest, false, pick % records.len, (uint8_t)(1u << (pick % 8)));
	lie(&records, pick, &lies);
	apply_elsewhere(loop, &lies, &guest, false, SIZE_MAX, 0);
	gate_open(from.v);
	testvgpu_stop(&from);
	loop_free(loop);
	return 0;
}
