// SPDX-License-Identifier: Apache-2.0
// A destination against a source that does not keep to the rules.
#include "vgpu/move/move_dest.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/test.h"
#include "wire/record.h"

#define CHANNELS 2

static struct loop *loop;
static struct page_space *space;
static struct move_dest *dest;
static int peer[CHANNELS];
static bool failed, received;
static struct ferry_error error;
static size_t applied;

static void on_received(void *arg, struct digest_root root, uint64_t bytes)
{
	received = true;
}

static void on_failed(void *arg, const struct ferry_error *e)
{
	failed = true;
	error = *e;
}

static int apply(void *arg, const void *bytes, size_t n, struct ferry_error *e)
{
	applied++;
	return n == 13 ? ferry_fail(e, EINVAL, "bad-object", "unlucky") : 0;
}

static void set_up(void)
{
	struct move_dest_spec spec = { .n_fds = CHANNELS,
		.vm_log = -1,
		.objects = { .apply = apply },
		.events = { .received = on_received, .failed = on_failed } };
	int fds[CHANNELS];

	failed = received = false;
	error = FERRY_ERROR_INIT;
	applied = 0;
	loop = loop_new();
	CHECK_EQ(page_space_new(128 * PAGE_BYTES, &space, NULL), 0);
	for (size_t i = 0; i < CHANNELS; i++) {
		int pair[2];

		CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		fds[i] = pair[0];
		peer[i] = pair[1];
	}
	spec.loop = loop;
	spec.space = space;
	spec.fds = fds;
	CHECK_EQ(move_dest_receive(&spec, &dest, NULL), 0);
}

static void hang_up(void)
{
	for (size_t i = 0; i < CHANNELS; i++) {
		cleanup_fd_p(&peer[i]);
		peer[i] = -1;
	}
}

static void tear_down(void)
{
	dest = move_dest_close(dest);
	hang_up();
	page_space_close(space);
	loop_free(loop);
}

static void put(struct buf *b, enum record_type type, uint8_t flags, uint32_t round, uint32_t count,
	uint64_t first, const void *payload, size_t n)
{
	struct record r = { type, flags, round, count, first, n };

	record_encode(&r, buf_reserve(b, RECORD_BYTES));
	b->len += RECORD_BYTES;
	buf_put(b, payload, n);
}

static void put_round(struct buf *b, uint32_t round, uint64_t first, uint64_t count)
{
	uint64_t run[2] = { htole64(first), htole64(count) };

	put(b, RECORD_ROUND, 0, round, 1, 0, run, sizeof(run));
}

static void put_pages(struct buf *b, uint32_t round, uint64_t first, uint32_t count, int byte)
{
	static uint8_t bytes[RECORD_MAX_PAGES * PAGE_BYTES];

	memset(bytes, byte, sizeof(bytes));
	put(b, RECORD_PAGES, 0, round, count, first, bytes, (size_t)count * PAGE_BYTES);
}

static void put_barrier(struct buf *b, uint32_t round)
{
	put(b, RECORD_BARRIER, 0, round, 0, 0, NULL, 0);
}

// The peer's socket is non-blocking here: what does not fit is dropped, as with a peer that dies.
static void send_buf(size_t channel, const struct buf *b)
{
	ssize_t n = send(peer[channel], b->data, b->len, MSG_NOSIGNAL | MSG_DONTWAIT);

	(void)n;
}

static void run_until_end(void)
{
	int64_t end = clock_now_ns() + 5 * NSEC_PER_SEC;

	while (!failed && !received && clock_now_ns() < end)
		loop_once(loop, 100);
	CHECK(failed || received);
}

// What the source would read on channel 0, past acknowledgements.
static void check_told(const char *code)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	uint8_t bytes[RECORD_BYTES + RECORD_MAX_ERROR];
	struct record r;

	do {
		CHECK_EQ(recv(peer[0], bytes, RECORD_BYTES, MSG_WAITALL), RECORD_BYTES);
		CHECK_EQ(record_decode(bytes, &r, NULL), 0);
	} while (r.type == RECORD_ACK);
	CHECK_EQ(r.type, RECORD_ERROR);
	CHECK_EQ(recv(peer[0], bytes, r.payload, MSG_WAITALL), r.payload);
	record_error_decode(bytes, r.payload, &e);
	CHECK_STR(e.code, code);
}

// Two scripts, one per channel, that must be refused with `code`.
static void refused(struct buf script[CHANNELS], const char *code)
{
	set_up();
	for (size_t i = 0; i < CHANNELS; i++)
		send_buf(i, &script[i]);
	run_until_end();
	CHECK(failed && !received);
	CHECK_STR(error.code, code);
	check_told(code);
	tear_down();
	for (size_t i = 0; i < CHANNELS; i++)
		buf_reset(&script[i]);
}

static struct buf s[CHANNELS];

static void pages_need_an_announced_round(void)
{
	put_pages(&s[0], 1, 0, 1, 7);
	refused(s, "bad-record");
	put_round(&s[1], 1, 0, 4);
	refused(s, "bad-record");
	put_round(&s[0], 2, 0, 4);
	refused(s, "bad-record");
	put_round(&s[0], 1, 0, 4);
	put_round(&s[0], 1, 0, 4);
	refused(s, "bad-record");
	put_round(&s[0], 1, 0, 4);
	put_pages(&s[1], 2, 0, 1, 7);
	refused(s, "bad-record");
	put(&s[0], RECORD_ROUND, RECORD_SAME, 1, 0, 0, NULL, 0);
	refused(s, "bad-record");
}

static void pages_need_an_extent(void)
{
	static const struct {
		uint64_t first;
		uint32_t count;
	} outside[] = { { 9, 1 }, { 9, 2 }, { 13, 2 }, { 14, 1 }, { 511, 1 }, { 512, 1 } };

	for (size_t i = 0; i < ARRAY_SIZE(outside); i++) {
		put_round(&s[0], 1, 10, 4);
		put_pages(&s[1], 1, outside[i].first, outside[i].count, 7);
		refused(s, "bad-record");
		put_round(&s[0], 1, 10, 4);
		put(&s[0], RECORD_ZERO, 0, 1, outside[i].count, outside[i].first, NULL, 0);
		refused(s, "bad-record");
	}
	put_round(&s[0], 1, 10, 4);
	put(&s[1], RECORD_FREE, 0, 1, 1, 512, NULL, 0);
	refused(s, "bad-record");
}

static void extents_are_checked(void)
{
	uint64_t overlapping[4] = { htole64(0), htole64(4), htole64(3), htole64(4) };

	put_round(&s[0], 1, 0, 129);
	refused(s, "over-quota");
	put_round(&s[0], 1, 0, 0);
	refused(s, "bad-record");
	put_round(&s[0], 1, 500, 13);
	refused(s, "bad-record");
	put_round(&s[0], 1, 1, UINT64_MAX);
	refused(s, "bad-record");
	put(&s[0], RECORD_ROUND, 0, 1, 2, 0, overlapping, sizeof(overlapping));
	refused(s, "bad-record");
}

static void extents_cannot_wander_past_the_quota(void)
{
	for (uint32_t n = 1; n <= 3; n++) {
		put_round(&s[0], n, (n - 1) * 60, 60);
		put_pages(&s[0], n, (n - 1) * 60, 60, 7);
		put_barrier(&s[0], n);
		put_barrier(&s[1], n);
	}
	set_up();
	for (size_t i = 0; i < CHANNELS; i++)
		CHECK_EQ(fcntl(peer[i], F_SETFL, 0), 0);
	CHECK_EQ(setsockopt(peer[0], SOL_SOCKET, SO_SNDBUF, &(int){ 4 << 20 }, sizeof(int)), 0);
	for (size_t i = 0; i < CHANNELS; i++) {
		ssize_t rc = send(peer[i], s[i].data, s[i].len, MSG_NOSIGNAL);

		(void)rc;
		buf_reset(&s[i]);
	}
	run_until_end();
	CHECK_STR(error.code, "over-quota");
	tear_down();
}

static void objects_and_ends_are_checked(void)
{
	uint64_t root[3] = { 1, 2, 3 };

	put_round(&s[0], 1, 0, 4);
	put(&s[0], RECORD_OBJECT, RECORD_MORE, 1, 0, 0, "piece", 5);
	put_barrier(&s[0], 1);
	refused(s, "bad-record");
	put_round(&s[0], 1, 0, 4);
	put(&s[0], RECORD_OBJECT, 0, 1, 0, 0, "thirteen bytes", 13);
	refused(s, "bad-object");
	put_round(&s[0], 1, 0, 4);
	put(&s[0], RECORD_FINISH, 0, 1, 0, 0, root, sizeof(root));
	refused(s, "bad-record");
	put_round(&s[0], 1, 0, 4);
	put_barrier(&s[0], 1);
	put_barrier(&s[1], 1);
	put(&s[0], RECORD_FINISH, 0, 1, 0, 0, root, sizeof(root));
	refused(s, "roots-differ");
	put(&s[0], RECORD_ACK, 0, 1, 0, 0, NULL, 0);
	refused(s, "bad-record");
}

// A short legal move: two rounds, objects, zero, free, the right root.
static void put_legal_move(void)
{
	static uint8_t page[PAGE_BYTES];
	struct digest_root root = { 0 };
	uint64_t payload[3];

	put_round(&s[0], 1, 10, 20);
	put(&s[0], RECORD_OBJECT, RECORD_MORE, 1, 0, 0, "one ", 4);
	put(&s[0], RECORD_OBJECT, 0, 1, 0, 0, "object", 6);
	put_pages(&s[0], 1, 10, 2, 7);
	put_pages(&s[1], 1, 20, 3, 8);
	put_barrier(&s[0], 1);
	put_barrier(&s[1], 1);
	put_round(&s[0], 2, 10, 12);
	put(&s[0], RECORD_ZERO, 0, 2, 1, 11, NULL, 0);
	put_pages(&s[1], 2, 10, 1, 9);
	put(&s[1], RECORD_FREE, 0, 2, 1, 22, NULL, 0);
	put_barrier(&s[0], 2);
	put_barrier(&s[1], 2);
	memset(page, 9, sizeof(page));
	digest_root_change(&root, 10, (struct page_digest){ 0 }, page_digest(page));
	memset(page, 8, sizeof(page));
	digest_root_change(&root, 20, (struct page_digest){ 0 }, page_digest(page));
	digest_root_change(&root, 21, (struct page_digest){ 0 }, page_digest(page));
	payload[0] = htole64((uint64_t)root.sum);
	payload[1] = htole64((uint64_t)(root.sum >> 64));
	payload[2] = htole64(3);
	put(&s[0], RECORD_FINISH, 0, 2, 0, 0, payload, sizeof(payload));
}

static void check_legal_move(void)
{
	struct digest_root scanned;
	uint8_t *p = page_space_base(space);

	CHECK_EQ(digest_scan_root(space, NULL, &scanned), 0);
	CHECK_EQ(scanned.pages, 3);
	CHECK(p[10 * PAGE_BYTES] == 9 && !p[11 * PAGE_BYTES]);
	CHECK(p[20 * PAGE_BYTES] == 8 && p[21 * PAGE_BYTES] == 8 && !p[22 * PAGE_BYTES]);
	CHECK_EQ(applied, 1);
}

static void a_legal_move_arrives(void)
{
	put_legal_move();
	set_up();
	send_buf(0, &s[0]);
	send_buf(1, &s[1]);
	run_until_end();
	CHECK(received && !failed);
	check_legal_move();
	hang_up(); // afterwards, no error any more
	loop_once(loop, 20);
	CHECK(!failed);
	tear_down();
}

// The connection ends at any byte; any bit is wrong: an error, or the legal result (objects' bytes
// have no digest here). Never anything else.
static void any_damage_is_an_error(void)
{
	srand(5);
	for (int i = 0; i < 400; i++) {
		size_t channel = (size_t)rand() % CHANNELS;
		struct buf damaged[CHANNELS];
		size_t at = (size_t)rand() % (i % 4 ? 300 : s[channel].len);

		memcpy(damaged, s, sizeof(s));
		damaged[channel] = (struct buf){ 0 };
		buf_put(&damaged[channel], s[channel].data, s[channel].len);
		if (at >= s[channel].len)
			at = 0;
		if (i % 2)
			damaged[channel].data[at] ^= (uint8_t)(1 << rand() % 8);
		else
			damaged[channel].len = at;
		set_up();
		send_buf(0, &damaged[0]);
		send_buf(1, &damaged[1]);
		shutdown(peer[0], SHUT_WR);
		shutdown(peer[1], SHUT_WR);
		run_until_end();
		if (received)
			check_legal_move();
		tear_down();
		buf_free(&damaged[channel]);
	}
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	RUN(pages_need_an_announced_round);
	RUN(pages_need_an_extent);
	RUN(extents_are_checked);
	RUN(extents_cannot_wander_past_the_quota);
	RUN(objects_and_ends_are_checked);
	RUN(a_legal_move_arrives);
	RUN(any_damage_is_an_error);
	for (size_t i = 0; i < CHANNELS; i++)
		buf_free(&s[i]);
	return 0;
}
