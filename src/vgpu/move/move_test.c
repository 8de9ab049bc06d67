// SPDX-License-Identifier: Apache-2.0
// Moves from beginning to end: every mode and tracker, what arrives, and what a round waits for.
#include <errno.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/test.h"
#include "vgpu/testing/testmove.h"

static struct testmove t;

// What operators of the system that we follow look for, once per round, in each VM's log.
static void check_log(int fd, unsigned lines)
{
	static char text[65536];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	const char *at = text;
	char line[80];

	CHECK(n >= 0);
	text[n] = 0;
	for (unsigned i = 1; i <= lines; i++) {
		snprintf(line, sizeof(line),
			"Migrate_ReadState: vGPU Page Transfer Start. round=%u\n", i);
		at = strstr(at, line);
		CHECK(at);
		at += strlen(line);
	}
	CHECK(!strstr(at, "Migrate_ReadState"));
}

static void check_logs(unsigned lines)
{
	check_log(t.a.vm_log, lines);
	check_log(t.b.vm_log, lines);
}

static void check_roots_scanned(void)
{
	struct digest_root root;

	CHECK_EQ(digest_scan_root(t.b.space, NULL, &root), 0);
	CHECK(digest_root_equal(root, t.received_root));
}

static void precopy(const struct tracker_ops *tracker, size_t channels)
{
	testmove_set_up(&t, tracker, MOVE_PRECOPY, channels);
	testmove_open(&t);
	for (uint32_t n = 1; n <= 6; n++) {
		usleep(3000);
		testmove_round(&t, n, true);
	}
	CHECK(t.result.sent_bytes > 0);
	testmove_final(&t);
	CHECK_EQ(t.dest_rounds, 7);
	check_logs(7);
	testmove_check_equal(&t);
	check_roots_scanned();
	CHECK_EQ(move_dest_own(t.dest, NULL), 0);
	t.dest = NULL;
	testmove_tear_down(&t);
}

static void other_mode(const struct tracker_ops *tracker, enum move_mode mode, bool ahead)
{
	testmove_set_up(&t, tracker, mode, 2);
	testmove_open(&t);
	usleep(5000);
	if (mode == MOVE_SINGLE_PASS)
		testmove_round(&t, 1, true);
	else if (ahead)
		testmove_ahead(&t, true);
	CHECK(move_source_round(t.source, 2, testmove_answered, &t, NULL) < 0);
	testmove_final(&t);
	testmove_check_equal(&t);
	check_logs(1);
	testmove_tear_down(&t);
}

static void wrong_calls_are_refused(void)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	testmove_set_up(&t, &tracker_digest, MOVE_PRECOPY, 1);
	testmove_open(&t);
	CHECK_EQ(move_source_round(t.source, 2, testmove_answered, &t, &e), -EINVAL);
	CHECK_STR(e.code, "bad-state");
	CHECK_EQ(move_dest_own(t.dest, NULL), -EINVAL);
	CHECK_EQ(move_source_round(t.source, 1, testmove_answered, &t, NULL), 0);
	CHECK_EQ(move_source_round(t.source, 2, testmove_answered, &t, NULL), -EINVAL);
	CHECK_EQ(move_source_final(t.source, testmove_answered, &t, NULL), -EINVAL);
	t.source = move_source_abort(t.source);
	CHECK(t.answered);
	CHECK_STR(t.error.code, "aborted");
	testmove_tear_down(&t);
}

static void a_round_waits_for_what_it_brought_to_be_built(void)
{
	int64_t since = clock_now_ns();

	testmove_set_up(&t, &tracker_digest, MOVE_PRECOPY, 2);
	t.building = true;
	testmove_open(&t);
	t.answered = false;
	CHECK_EQ(move_source_round(t.source, 1, testmove_answered, &t, NULL), 0);
	while (!t.b.applied)
		loop_once(t.loop, 20);
	for (int64_t end = clock_now_ns() + 500 * NSEC_PER_MSEC; clock_now_ns() < end;)
		loop_once(t.loop, 20);
	CHECK(!t.answered);
	t.building = false;
	move_dest_settled(t.dest);
	CHECK(testmove_run_until(&t, &t.answered, false));
	// The wait is not the link's.
	CHECK(t.result.ms < (double)(clock_now_ns() - since) / NSEC_PER_MSEC - 250);
	testmove_final(&t);
	testmove_check_equal(&t);
	testmove_tear_down(&t);
}

static void stop_copy_has_all_built_before_its_first_page(void)
{
	testmove_set_up(&t, &tracker_digest, MOVE_STOP_COPY, 2);
	t.building = true;
	testmove_open(&t);
	t.answered = false;
	CHECK_EQ(move_source_ahead(t.source, testmove_answered, &t, NULL), 0);
	for (int i = 0; i < 1000 && !t.b.applied; i++)
		loop_once(t.loop, 20);
	CHECK(!t.answered && t.b.applied > 0);
	t.building = false;
	move_dest_settled(t.dest);
	CHECK(testmove_run_until(&t, &t.answered, true)); // and what changes now goes last
	CHECK_EQ(t.result.bytes + t.result.zero_bytes, 0);
	check_logs(0);
	CHECK_EQ(move_source_ahead(t.source, testmove_answered, &t, NULL), -EINVAL);
	testmove_final(&t);
	testmove_check_equal(&t);
	check_logs(1);
	testmove_tear_down(&t);
}

// At its first rate the move would take an hour.
static void a_new_rate_holds_for_a_round_under_way(void)
{
	testmove_set_up(&t, &tracker_digest, MOVE_STOP_COPY, 2);
	testmove_drain(&t);
	testmove_fill(&t, 9);
	t.bandwidth = 10000;
	testmove_open(&t);
	CHECK_EQ(move_source_final(t.source, testmove_answered, &t, NULL), 0);
	for (int64_t end = clock_now_ns() + 100 * NSEC_PER_MSEC; clock_now_ns() < end;)
		loop_once(t.loop, 1);
	CHECK(!t.received);
	CHECK_EQ(move_source_set_rate(t.source, 0, NULL), -EINVAL);
	CHECK_EQ(move_source_set_rate(t.source, 1000000000, NULL), 0);
	CHECK(testmove_run_until(&t, &t.received, false));
	testmove_tear_down(&t);
}

// One object per call, larger than a record's payload; the third is as large as may be.
static int collect_large(void *arg, bool final, move_emit_fn emit, void *to, struct ferry_error *e)
{
	static uint8_t bytes[MOVE_MAX_OBJECT + 1];
	size_t n = t.n_collected++ < 2 ? 3000000 : MOVE_MAX_OBJECT;
	int rc;

	CHECK_EQ(emit(to, bytes, 0), -EINVAL);
	CHECK_EQ(emit(to, bytes, sizeof(bytes)), -E2BIG);
	memset(bytes, (int)t.n_collected, n);
	rc = emit(to, bytes, n);
	CHECK_EQ(final, t.n_collected == 3);
	return rc;
}

static int apply_large(void *arg, const void *bytes, size_t n, struct ferry_error *e)
{
	const uint8_t *at = bytes;

	CHECK_EQ(n, ++t.b.applied < 3 ? 3000000 : MOVE_MAX_OBJECT);
	CHECK_EQ(at[0], t.b.applied);
	CHECK_EQ(at[n - 1], t.b.applied);
	return 0;
}

static void large_objects_and_no_pages(void)
{
	testmove_set_up(&t, &tracker_digest, MOVE_PRECOPY, 2);
	testmove_drain(&t);
	while (t.n_extents)
		CHECK_EQ(page_space_free(t.a.space, t.extents[--t.n_extents].first), 0);
	t.objects = (struct move_objects){ .collect = collect_large, .apply = apply_large };
	t.bandwidth = 0;
	testmove_open(&t);
	testmove_round(&t, 1, false);
	CHECK_EQ(t.result.object_bytes, 3000000);
	CHECK_EQ(t.result.bytes, 0);
	testmove_round(&t, 2, false);
	testmove_final(&t);
	CHECK_EQ(t.b.applied, 3);
	CHECK_EQ(t.result.root.pages, 0);
	testmove_tear_down(&t);
}

static void with_tracker(const struct tracker_ops *tracker)
{
	precopy(tracker, 1);
	precopy(tracker, 4);
	printf("ok precopy\n");
	other_mode(tracker, MOVE_STOP_COPY, false);
	other_mode(tracker, MOVE_STOP_COPY, true);
	other_mode(tracker, MOVE_SINGLE_PASS, false);
	printf("ok other_mode\n");
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	RUN(wrong_calls_are_refused);
	RUN(a_round_waits_for_what_it_brought_to_be_built);
	RUN(stop_copy_has_all_built_before_its_first_page);
	RUN(a_new_rate_holds_for_a_round_under_way);
	RUN(large_objects_and_no_pages);
	testmove_each_tracker(with_tracker);
	return 0;
}
