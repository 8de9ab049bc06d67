// SPDX-License-Identifier: Apache-2.0
// Fuzzes the guest stream and object state. Input: bytes of a guest, after a well-formed beginning.
// Whatever comes, the vGPU must go on; and the state that results must be one that a destination can
// apply. Then the records themselves are damaged: a destination must refuse them or live with them.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/test.h"
#include "fuzz/driver.h"
#include "fuzz/send.h"
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

static void apply_elsewhere(
	struct loop *loop, const struct buf *records, size_t damage, uint8_t with)
{
	struct testvgpu to;

	testvgpu_start_incoming(&to, loop, &backend_fake);
	int r = testvgpu_apply(&to, records, damage, with);
	while (to.v->restoring)
		loop_once(loop, 1);
	if (!with) {
		CHECK_EQ(r, 0);
		CHECK(state_is_complete(to.v));
	}
	if (r == 0)
		testvgpu_own(&to);
	testvgpu_stop(&to);
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct loop *loop = loop_new();
	_cleanup_buf_ struct buf beginning = { 0 }, records = { 0 };
	struct state_source source;
	struct testvgpu from;

	testvgpu_start(&from, loop, &backend_fake);
	put_beginning(&beginning);
	testvgpu_feed(&from, beginning.data, beginning.len);
	feed(&from, data, size);
	state_source_begin(&source, from.v, true);
	testvgpu_close_gate(&from);
	CHECK_EQ(state_collect(&source, true, testvgpu_emit, &records, NULL), 0);
	state_source_end(&source);
	apply_elsewhere(loop, &records, SIZE_MAX, 0);
	uint32_t pick = size ? (uint32_t)(data[size / 2] * 131u + data[size - 1] * 7u) : 0;
	if (records.len)
		apply_elsewhere(loop, &records, pick % records.len, (uint8_t)(1u << (pick % 8)));
	gate_open(from.v);
	testvgpu_stop(&from);
	loop_free(loop);
	return 0;
}
