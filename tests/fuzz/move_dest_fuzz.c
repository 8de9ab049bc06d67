// SPDX-License-Identifier: Apache-2.0
// Fuzzes the destination of a move through real sockets. Input: items; each is a byte that says on
// which channel and whether raw bytes or a well-formed record (whose fields may still be illegal
// where it stands) follow. Whatever comes, the destination must end with `received` or `failed`.
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/loop.h"
#include "fuzz/driver.h"
#include "vgpu/move/move_dest.h"
#include "wire/record.h"

#define CHANNELS    2
#define SPACE_PAGES 64

static bool ended;

static void on_received(void *arg, struct digest_root root, uint64_t bytes)
{
	(void)arg;
	(void)root;
	(void)bytes;
	ended = true;
}

static void on_failed(void *arg, const struct ferry_error *e)
{
	(void)arg;
	if (!e->err || !e->code[0])
		abort();
	ended = true;
}

static int apply(void *arg, const void *bytes, size_t n, struct ferry_error *e)
{
	(void)arg;
	return ((const uint8_t *)bytes)[n - 1] == 0xff
		       ? ferry_fail(e, EINVAL, "bad-object", "an object of %zu bytes", n)
		       : 0;
}

static void put_runs(struct buf *b, struct record r, struct rd *in)
{
	uint8_t *header = buf_reserve(b, RECORD_BYTES);

	r.payload = (uint64_t)r.count * RECORD_RUN_BYTES;
	record_encode(&r, header);
	b->len += RECORD_BYTES;
	for (uint32_t i = 0; i < r.count; i++) {
		buf_put_u64(b, rd_u8(in));
		buf_put_u64(b, rd_u8(in) % 32);
	}
}

static void put_filled(struct buf *b, struct record r, uint8_t byte)
{
	record_encode(&r, buf_reserve(b, RECORD_BYTES));
	b->len += RECORD_BYTES;
	memset(buf_reserve(b, r.payload + 1), byte, r.payload);
	b->len += r.payload;
}

static void put_record(struct buf *b, uint8_t type, struct rd *in)
{
	struct record r = {
		.type = type, .flags = rd_u8(in) % 8 ? 0 : rd_u8(in) % 16, .round = rd_u8(in) % 4
	};

	if (type == RECORD_ROUND || type == RECORD_COMING) {
		r.count = rd_u8(in) % 8;
		put_runs(b, r, in);
		return;
	}
	if (type == RECORD_PAGES || type == RECORD_ZERO || type == RECORD_FREE) {
		r.count = rd_u8(in) % 8;
		r.first = rd_u8(in) * (rd_u8(in) % 16 ? 1 : 16);
	}
	if (type == RECORD_PAGES)
		r.payload = r.count * RECORD_PAGE_BYTES;
	if (type == RECORD_OBJECT)
		r.payload = rd_u8(in);
	if (type == RECORD_FINISH)
		r.payload = RECORD_ROOT_BYTES;
	put_filled(b, r, rd_u8(in));
}

static void make_streams(const uint8_t *data, size_t size, struct buf streams[CHANNELS])
{
	struct rd in = rd_make(data, size);

	while (in.left) {
		uint8_t op = rd_u8(&in);
		struct buf *b = &streams[op & 1];

		if (op & 2 && op & 4) {
			size_t n = rd_u8(&in) % 64;
			const uint8_t *raw = rd_bytes(&in, n < in.left ? n : in.left);

			buf_put(b, raw, raw ? (n < in.left ? n : 0) : 0);
		} else {
			put_record(b, (op >> 3) % 12, &in);
		}
	}
}

static void run(struct buf streams[CHANNELS])
{
	struct move_dest_spec spec = { .n_fds = CHANNELS,
		.vm_log = -1,
		.objects = { .apply = apply },
		.events = { .received = on_received, .failed = on_failed } };
	int mine[CHANNELS], theirs[CHANNELS];
	int64_t end = clock_now_ns() + 10 * NSEC_PER_SEC;
	struct page_space *space;
	struct move_dest *dest;

	for (int i = 0; i < CHANNELS; i++) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
			abort();
		theirs[i] = pair[0];
		mine[i] = pair[1];
	}
	spec.loop = loop_new();
	spec.fds = theirs;
	if (page_space_new(SPACE_PAGES * PAGE_BYTES, &space, NULL))
		abort();
	spec.space = space;
	if (move_dest_receive(&spec, &dest, NULL))
		abort();
	for (int i = 0; i < CHANNELS; i++) {
		ssize_t sent =
			send(mine[i], streams[i].data, streams[i].len, MSG_NOSIGNAL | MSG_DONTWAIT);

		(void)sent;
		shutdown(mine[i], SHUT_WR);
	}
	ended = false;
	while (!ended && clock_now_ns() < end)
		loop_once(spec.loop, 1000);
	if (!ended)
		abort(); // it hangs
	move_dest_close(dest);
	for (int i = 0; i < CHANNELS; i++)
		close(mine[i]);
	page_space_close(space);
	loop_free(spec.loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf streams[CHANNELS] = { 0 };

	make_streams(data, size, streams);
	run(streams);
	for (int i = 0; i < CHANNELS; i++)
		buf_free(&streams[i]);
	return 0;
}

#ifndef WITH_LIBFUZZER
// Inputs that are likely to get somewhere: a round is announced first, types are weighted.
void fuzz_make_input(struct buf *b)
{
	static const uint8_t types[] = { RECORD_PAGES, RECORD_PAGES, RECORD_ZERO, RECORD_FREE,
		RECORD_OBJECT, RECORD_BARRIER, RECORD_BARRIER, RECORD_ROUND, RECORD_FINISH,
		RECORD_COMING };
	static const uint8_t announce[] = { RECORD_ROUND << 3, 1, 1, 1, 0, 31 };

	buf_put(b, announce, sizeof announce);
	while (b->len < 496 && rand() % 12) {
		uint8_t type = types[(size_t)rand() % sizeof(types)];
		uint8_t item[] = { (uint8_t)(type << 3 | (rand() % 20 ? 0 : 6) | rand() % 2),
			(uint8_t)(rand() % 30 ? 1 : 0), 1, (uint8_t)rand(), (uint8_t)(rand() % 32),
			1, (uint8_t)rand() };

		buf_put(b, item, sizeof(item));
	}
}
#endif
