// SPDX-License-Identifier: Apache-2.0
// Moves that go wrong: the other end refuses, hangs or vanishes, or the line lies.
#include <dirent.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/test.h"
#include "vgpu/testing/testmove.h"
#include "wire/record.h"

static struct testmove t;

// ---- a line with one wrong bit

static pthread_t relay;
static int relay_in, relay_out;
static size_t damage_at;

// A line with one wrong bit in it, from the source to the destination.
static void *relay_with_damage(void *arg)
{
	static uint8_t bytes[65536];
	size_t at = 0;
	ssize_t n;

	while ((n = recv(relay_in, bytes, sizeof(bytes), 0)) > 0) {
		if (damage_at >= at && damage_at < at + (size_t)n)
			bytes[damage_at - at] ^= 4;
		at += (size_t)n;
		if (send(relay_out, bytes, (size_t)n, MSG_NOSIGNAL) != n)
			break;
	}
	close(relay_in);
	close(relay_out);
	return NULL;
}

static void open_damaged_line(int *at_a, int *at_b)
{
	int first[2], second[2];

	close(*at_a);
	close(*at_b);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, first), 0);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, second), 0);
	*at_a = first[0];
	relay_in = first[1];
	relay_out = second[0];
	*at_b = second[1];
	CHECK_EQ(pthread_create(&relay, NULL, relay_with_damage, NULL), 0);
}

// ---- tests

static void the_destinations_reason_arrives(void)
{
	testmove_set_up(&t, &tracker_digest, MOVE_PRECOPY, 2);
	t.refuse_objects = true;
	testmove_open(&t);
	CHECK_EQ(move_source_round(t.source, 1, testmove_answered, &t, NULL), 0);
	CHECK(testmove_run_until(&t, &t.failed, false));
	CHECK(t.answered);
	CHECK_STR(t.error.code, "bad-object");
	CHECK_STR(t.error.message, "destination: object state was not accepted: not this one");
	CHECK(testmove_run_until(&t, &t.dest_failed, false));
	CHECK_STR(t.dest_error.code, "bad-object");
	testmove_tear_down(&t);
}

// One bit is wrong on the way: both ends refuse, and the source's memory is as it was.
static void damage_on_the_way_is_found(void)
{
	static const struct {
		size_t at;
		const char *code;
	} places[] = { { 3, "bad-record" }, { RECORD_BYTES + 100, "roots-differ" } };

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		struct digest_root before, after;

		testmove_set_up(&t, &tracker_digest, MOVE_STOP_COPY, 2);
		testmove_drain(&t);
		testmove_fill(&t, 9);
		CHECK_EQ(digest_scan_root(t.a.space, NULL, &before), 0);
		t.tamper = open_damaged_line;
		t.bandwidth = 10000000; // the damaged channel surely gets its share
		damage_at = places[i].at;
		testmove_open(&t);
		CHECK_EQ(move_source_final(t.source, testmove_answered, &t, NULL), 0);
		CHECK(testmove_run_until(&t, &t.failed, false));
		CHECK_STR(t.error.code, places[i].code);
		CHECK(testmove_run_until(&t, &t.dest_failed, false));
		CHECK(!t.received);
		t.source = move_source_abort(t.source);
		CHECK_EQ(digest_scan_root(t.a.space, NULL, &after), 0);
		CHECK(digest_root_equal(before, after));
		pthread_join(relay, NULL);
		testmove_tear_down(&t);
	}
}

// A destination that reads nothing: sends block, and abort ends them at once.
static void abort_ends_a_blocked_round(void)
{
	struct move_source_spec spec = { .tracker = &tracker_digest, .n_fds = 2, .vm_log = -1 };
	int at_a[2], at_b[2];
	int64_t start;

	testmove_set_up(&t, &tracker_digest, MOVE_PRECOPY, 2);
	for (int i = 0; i < 2; i++) {
		int fds[2];

		CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
		at_a[i] = fds[0];
		at_b[i] = fds[1];
	}
	memset(page_space_at(t.a.space, t.extents[0].first), 5, t.extents[0].count * PAGE_BYTES);
	spec.loop = t.loop;
	spec.space = t.a.space;
	spec.fds = at_a;
	CHECK_EQ(move_source_begin(&spec, &t.source, NULL), 0);
	CHECK_EQ(move_source_round(t.source, 1, testmove_answered, &t, NULL), 0);
	for (int i = 0; i < 20; i++)
		loop_once(t.loop, 1);
	CHECK(!t.answered);
	start = clock_now_ns();
	t.source = move_source_abort(t.source);
	CHECK(clock_now_ns() - start < 10 * NSEC_PER_SEC);
	CHECK_STR(t.error.code, "aborted");
	close(at_b[0]);
	close(at_b[1]);
	testmove_tear_down(&t);
}

static size_t entries(const char *path)
{
	DIR *d = opendir(path);
	size_t n = 0;

	CHECK(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

// The destination vanishes, or the source aborts, anywhere: the other end is told, nothing is left.
static void one_end_vanishes(const struct tracker_ops *tracker, int cycle)
{
	int turns = rand_r(&t.seed) % 12;
	bool dest_dies = cycle % 2;

	t.n_collected = 0;
	t.b.applied = 0;
	t.answered = t.failed = t.dest_failed = t.received = false;
	t.dest_rounds = 0;
	t.tracker = tracker;
	CHECK_EQ(page_space_new(TESTMOVE_QUOTA, &t.b.space, NULL), 0);
	testmove_open(&t);
	CHECK_EQ(move_source_round(t.source, 1, testmove_answered, &t, NULL), 0);
	for (int i = 0; i < turns; i++)
		loop_once(t.loop, 1);
	if (dest_dies) {
		t.dest = move_dest_close(t.dest);
		CHECK(testmove_run_until(&t, &t.failed, false));
		CHECK(t.answered);
		CHECK_STR(t.error.code, "peer-lost");
		t.source = move_source_abort(t.source);
	} else {
		t.source = move_source_abort(t.source);
		CHECK(t.answered);
		CHECK(testmove_run_until(&t, &t.dest_failed, false));
		t.dest = move_dest_close(t.dest);
	}
	t.b.space = page_space_close(t.b.space);
}

static void vanishing_leaves_nothing_behind(const struct tracker_ops *tracker)
{
	size_t fds;

	testmove_set_up(&t, tracker, MOVE_PRECOPY, 3);
	t.b.space = page_space_close(t.b.space);
	one_end_vanishes(tracker, 0);
	fds = entries("/proc/self/fd");
	for (int cycle = 0; cycle < 40; cycle++)
		one_end_vanishes(tracker, cycle);
	CHECK_EQ(entries("/proc/self/fd"), fds);
	for (int i = 0; i < 200 && entries("/proc/self/task") != 4; i++)
		usleep(5000); // a joined thread is listed until the kernel has buried it
	CHECK_EQ(entries("/proc/self/task"), 4); // ".", "..", this thread and the writer
	CHECK_EQ(page_space_new(TESTMOVE_QUOTA, &t.b.space, NULL), 0);
	testmove_tear_down(&t);
}

static void with_tracker(const struct tracker_ops *tracker)
{
	vanishing_leaves_nothing_behind(tracker);
	printf("ok vanishing_leaves_nothing_behind\n");
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	RUN(the_destinations_reason_arrives);
	RUN(damage_on_the_way_is_found);
	RUN(abort_ends_a_blocked_round);
	testmove_each_tracker(with_tracker);
	return 0;
}
