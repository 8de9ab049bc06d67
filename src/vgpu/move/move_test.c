// SPDX-License-Identifier: Apache-2.0
// Both ends of a move in one process, over socket pairs, while a thread writes and the main thread
// allocates and frees.
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/loop.h"
#include "base/test.h"
#include "vgpu/move/move_dest.h"
#include "vgpu/move/move_source.h"
#include "wire/record.h"

#define QUOTA   (4u << 20)
#define EXTENTS 24
#define NOTES   100000

// A change of the set of extents: what stands for object state here.
struct note {
	uint64_t first, count; // count 0: freed
};

struct side {
	struct page_space *space;
	size_t applied; // destination: notes applied
	int vm_log;
};

static struct host {
	struct loop *loop;
	struct side a, b;
	struct move_source *source;
	struct move_dest *dest;
	const struct tracker_ops *tracker;
	enum move_mode mode;
	size_t channels;

	pthread_mutex_t lock; // of extents: the guest does not write to what it has freed
	struct page_run extents[EXTENTS];
	size_t n_extents;
	pthread_t writer;
	atomic_bool writing, stop;

	struct note notes[NOTES];
	size_t n_notes, n_collected;

	struct move_round_result result;
	bool answered, failed, received, dest_failed;
	struct ferry_error error, dest_error;
	struct digest_root received_root;
	uint32_t dest_rounds;
	uint64_t bandwidth;
	bool refuse_objects, damage;
	bool building; // the destination still compiles what it was sent
	pthread_t relay;
	int relay_in, relay_out;
	size_t damage_at;
	int (*collect)(void *, bool, move_emit_fn, void *, struct ferry_error *);
	int (*apply)(void *, const void *, size_t, struct ferry_error *);
	unsigned seed;
} h;

static int collect(void *arg, bool final, move_emit_fn emit, void *to, struct ferry_error *e)
{
	int rc = 0;

	while (!rc && h.n_collected < h.n_notes)
		rc = emit(to, &h.notes[h.n_collected++], sizeof(struct note));
	return rc;
}

static int apply(void *arg, const void *bytes, size_t n, struct ferry_error *e)
{
	struct note note;

	if (h.refuse_objects)
		return ferry_fail(e, EINVAL, "bad-object", "not this one");
	CHECK_EQ(n, sizeof(note));
	memcpy(&note, bytes, n);
	CHECK(!memcmp(&note, &h.notes[h.b.applied++], n)); // in order
	if (!note.count)
		return page_space_free(h.b.space, note.first);
	return page_space_claim(h.b.space, (struct page_run){ note.first, note.count }, e);
}

static bool settled(void *arg)
{
	return !h.building;
}

static void note_change(uint64_t first, uint64_t count)
{
	CHECK(h.n_notes < NOTES);
	h.notes[h.n_notes++] = (struct note){ first, count };
}

static void change_extents(void)
{
	pthread_mutex_lock(&h.lock);
	if (h.n_extents < EXTENTS && rand_r(&h.seed) % 2) {
		uint64_t pages = 1 + (uint64_t)rand_r(&h.seed) % 120;
		struct page_run run;

		if (!page_space_alloc(h.a.space, pages * PAGE_BYTES, &run, NULL)) {
			h.extents[h.n_extents++] = run;
			note_change(run.first, run.count);
		}
	} else if (h.n_extents > 4) {
		size_t i = (size_t)rand_r(&h.seed) % h.n_extents;

		CHECK_EQ(page_space_free(h.a.space, h.extents[i].first), 0);
		note_change(h.extents[i].first, 0);
		h.extents[i] = h.extents[--h.n_extents];
	}
	pthread_mutex_unlock(&h.lock);
}

// Mostly small writes, some whole pages, sometimes zeros.
static void write_somewhere(unsigned *seed)
{
	struct page_run r = h.extents[(size_t)rand_r(seed) % h.n_extents];
	uint8_t *p = page_space_at(h.a.space, r.first + (uint64_t)rand_r(seed) % r.count);

	if (rand_r(seed) % 4)
		p[rand_r(seed) % PAGE_BYTES] = (uint8_t)(rand_r(seed) % 3);
	else
		memset(p, rand_r(seed) % 3, PAGE_BYTES);
}

static void *write_all_the_time(void *arg)
{
	unsigned seed = 11;

	while (!atomic_load(&h.stop)) {
		pthread_mutex_lock(&h.lock);
		for (int i = 0; i < 40 && h.writing; i++)
			write_somewhere(&seed);
		pthread_mutex_unlock(&h.lock);
		usleep(50);
	}
	return NULL;
}

static void on_round(void *arg, const struct move_round_result *r, const struct ferry_error *e)
{
	h.answered = true;
	if (r)
		h.result = *r;
	else
		h.error = *e;
}

static void on_failed(void *arg, const struct ferry_error *e)
{
	h.failed = true;
	h.error = *e;
}

static void on_dest_round(void *arg, uint32_t n)
{
	CHECK(n > h.dest_rounds);
	h.dest_rounds = n;
}

static void on_received(void *arg, struct digest_root root, uint64_t bytes)
{
	h.received = true;
	h.received_root = root;
	CHECK(bytes > 0);
	if (h.mode == MOVE_STOP_COPY) { // at once: the source hears DONE and the end together
		CHECK_EQ(move_dest_own(h.dest, NULL), 0);
		h.dest = NULL;
		usleep(2000);
	}
}

static void on_dest_failed(void *arg, const struct ferry_error *e)
{
	h.dest_failed = true;
	h.dest_error = *e;
}

// A line with one wrong bit in it, from the source to the destination.
static void *relay_with_damage(void *arg)
{
	static uint8_t bytes[65536];
	size_t at = 0;
	ssize_t n;

	while ((n = recv(h.relay_in, bytes, sizeof(bytes), 0)) > 0) {
		if (h.damage_at >= at && h.damage_at < at + (size_t)n)
			bytes[h.damage_at - at] ^= 4;
		at += (size_t)n;
		if (send(h.relay_out, bytes, (size_t)n, MSG_NOSIGNAL) != n)
			break;
	}
	close(h.relay_in);
	close(h.relay_out);
	return NULL;
}

static void open_damaged_line(int *at_a, int *at_b)
{
	int first[2], second[2];

	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, first), 0);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, second), 0);
	*at_a = first[0];
	h.relay_in = first[1];
	h.relay_out = second[0];
	*at_b = second[1];
	CHECK_EQ(pthread_create(&h.relay, NULL, relay_with_damage, NULL), 0);
}

static void open_ends(void)
{
	struct move_source_spec source = { .loop = h.loop,
		.space = h.a.space,
		.tracker = h.tracker,
		.mode = h.mode,
		.n_fds = h.channels,
		.vm_log = h.a.vm_log,
		.bandwidth = h.bandwidth,
		.watch_ms = 20,
		.objects = { .collect = h.collect ? h.collect : collect },
		.events = { .failed = on_failed } };
	struct move_dest_spec dest = { .loop = h.loop,
		.space = h.b.space,
		.n_fds = h.channels,
		.vm_log = h.b.vm_log,
		.objects = { .apply = h.apply ? h.apply : apply, .settled = settled },
		.events = { .round = on_dest_round,
			.received = on_received,
			.failed = on_dest_failed } };
	int at_a[MOVE_MAX_CHANNELS], at_b[MOVE_MAX_CHANNELS];

	for (size_t i = 0; i < h.channels; i++) {
		int fds[2];

		CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
		at_a[i] = fds[0];
		at_b[i] = fds[1];
	}
	if (h.damage) {
		close(at_a[1]);
		close(at_b[1]);
		open_damaged_line(&at_a[1], &at_b[1]);
	}
	source.fds = at_a;
	dest.fds = at_b;
	CHECK_EQ(move_dest_receive(&dest, &h.dest, NULL), 0);
	CHECK_EQ(move_source_begin(&source, &h.source, NULL), 0);
}

static void set_up(const struct tracker_ops *tracker, enum move_mode mode, size_t channels)
{
	memset(&h, 0, sizeof(h));
	h.tracker = tracker;
	h.mode = mode;
	h.channels = channels;
	h.seed = (unsigned)channels + 5;
	h.bandwidth = 150000000; // rounds last long enough for something to happen
	h.loop = loop_new();
	h.a.vm_log = memfd_create("log-a", MFD_CLOEXEC);
	h.b.vm_log = memfd_create("log-b", MFD_CLOEXEC);
	pthread_mutex_init(&h.lock, NULL);
	CHECK_EQ(page_space_new(QUOTA, &h.a.space, NULL), 0);
	CHECK_EQ(page_space_new(QUOTA, &h.b.space, NULL), 0);
	while (h.n_extents < 10)
		change_extents();
	h.writing = true;
	CHECK_EQ(pthread_create(&h.writer, NULL, write_all_the_time, NULL), 0);
}

static void drain(void)
{
	pthread_mutex_lock(&h.lock);
	h.writing = false;
	pthread_mutex_unlock(&h.lock);
}

static void tear_down(void)
{
	atomic_store(&h.stop, true);
	pthread_join(h.writer, NULL);
	h.source = move_source_abort(h.source);
	h.dest = move_dest_close(h.dest);
	page_space_close(h.a.space);
	page_space_close(h.b.space);
	h.loop = loop_free(h.loop);
	close(h.a.vm_log);
	close(h.b.vm_log);
	pthread_mutex_destroy(&h.lock);
}

// Runs the loop until *flag, changing extents between its turns when asked to.
static bool run_until(const bool *flag, bool changing)
{
	int64_t end = clock_now_ns() + 10 * NSEC_PER_SEC;

	while (!*flag && clock_now_ns() < end) {
		loop_once(h.loop, changing ? 1 : 20);
		for (int i = 0; changing && i < 3; i++)
			change_extents();
	}
	return *flag;
}

static void run_round_while(uint32_t n, bool changing)
{
	h.answered = false;
	CHECK_EQ(move_source_round(h.source, n, on_round, NULL, NULL), 0);
	CHECK(run_until(&h.answered, changing));
	CHECK(!h.failed);
	CHECK_EQ(h.result.n, n);
}

static void run_round(uint32_t n)
{
	run_round_while(n, true);
}

static void run_quiet_round(uint32_t n)
{
	run_round_while(n, false);
}

static void run_final(void)
{
	drain();
	h.answered = false;
	CHECK_EQ(move_source_final(h.source, on_round, NULL, NULL), 0);
	CHECK(run_until(&h.answered, false));
	if (h.failed)
		fprintf(stderr, "%s: %s\n", h.error.code, h.error.message);
	CHECK(!h.failed);
	CHECK(run_until(&h.received, false));
}

static void check_spaces_equal(void)
{
	struct page_run a, b = { 0 };
	uint64_t p, pages = page_space_pages(h.a.space);

	for (p = 0; page_space_next(h.a.space, p, &a); p = page_run_end(a)) {
		CHECK(page_space_next(h.b.space, p, &b));
		CHECK(a.first == b.first && a.count == b.count);
	}
	CHECK(!page_space_next(h.b.space, p, &b));
	CHECK(!memcmp(page_space_base(h.a.space), page_space_base(h.b.space), pages * PAGE_BYTES));
	CHECK(digest_root_equal(h.result.root, h.received_root));
}

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
	check_log(h.a.vm_log, lines);
	check_log(h.b.vm_log, lines);
}

static void check_roots_scanned(void)
{
	struct digest_root root;

	CHECK_EQ(digest_scan_root(h.b.space, NULL, &root), 0);
	CHECK(digest_root_equal(root, h.received_root));
}

static void precopy(const struct tracker_ops *tracker, size_t channels)
{
	set_up(tracker, MOVE_PRECOPY, channels);
	open_ends();
	for (uint32_t n = 1; n <= 6; n++) {
		usleep(3000);
		run_round(n);
	}
	CHECK(h.result.sent_bytes > 0);
	run_final();
	CHECK_EQ(h.dest_rounds, 7);
	check_logs(7);
	check_spaces_equal();
	check_roots_scanned();
	CHECK_EQ(move_dest_own(h.dest, NULL), 0);
	h.dest = NULL;
	tear_down();
}

static void other_mode(const struct tracker_ops *tracker, enum move_mode mode)
{
	set_up(tracker, mode, 2);
	open_ends();
	usleep(5000);
	if (mode == MOVE_SINGLE_PASS)
		run_round(1);
	CHECK(move_source_round(h.source, 2, on_round, NULL, NULL) < 0);
	run_final();
	check_spaces_equal();
	check_logs(1);
	tear_down();
}

static void wrong_calls_are_refused(void)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	set_up(&tracker_digest, MOVE_PRECOPY, 1);
	open_ends();
	CHECK_EQ(move_source_round(h.source, 2, on_round, NULL, &e), -EINVAL);
	CHECK_STR(e.code, "bad-state");
	CHECK_EQ(move_dest_own(h.dest, NULL), -EINVAL);
	CHECK_EQ(move_source_round(h.source, 1, on_round, NULL, NULL), 0);
	CHECK_EQ(move_source_round(h.source, 2, on_round, NULL, NULL), -EINVAL);
	CHECK_EQ(move_source_final(h.source, on_round, NULL, NULL), -EINVAL);
	h.source = move_source_abort(h.source);
	CHECK(h.answered);
	CHECK_STR(h.error.code, "aborted");
	tear_down();
}

static void the_destinations_reason_arrives(void)
{
	set_up(&tracker_digest, MOVE_PRECOPY, 2);
	h.refuse_objects = true;
	open_ends();
	CHECK_EQ(move_source_round(h.source, 1, on_round, NULL, NULL), 0);
	CHECK(run_until(&h.failed, false));
	CHECK(h.answered);
	CHECK_STR(h.error.code, "bad-object");
	CHECK_STR(h.error.message, "destination: object state was not accepted: not this one");
	CHECK(run_until(&h.dest_failed, false));
	CHECK_STR(h.dest_error.code, "bad-object");
	tear_down();
}

// One bit is wrong on the way: both ends refuse, and the source's memory is as it was.
static void a_round_waits_for_what_it_brought_to_be_built(void)
{
	int64_t since = clock_now_ns();

	set_up(&tracker_digest, MOVE_PRECOPY, 2);
	h.building = true;
	open_ends();
	h.answered = false;
	CHECK_EQ(move_source_round(h.source, 1, on_round, NULL, NULL), 0);
	while (clock_now_ns() - since < 300 * NSEC_PER_MSEC)
		loop_once(h.loop, 20);
	CHECK(!h.answered && h.b.applied > 0);
	h.building = false;
	move_dest_settled(h.dest);
	CHECK(run_until(&h.answered, false));
	CHECK(h.result.ms < 200); // the wait is not the link's
	run_final();
	check_spaces_equal();
	tear_down();
}

// At its first rate the move would take an hour.
static void a_new_rate_holds_for_a_round_under_way(void)
{
	set_up(&tracker_digest, MOVE_STOP_COPY, 2);
	drain();
	for (size_t k = 0; k < h.n_extents; k++)
		memset(page_space_at(h.a.space, h.extents[k].first), 9,
			h.extents[k].count * PAGE_BYTES);
	h.bandwidth = 10000;
	open_ends();
	CHECK_EQ(move_source_final(h.source, on_round, NULL, NULL), 0);
	for (int64_t end = clock_now_ns() + 100 * NSEC_PER_MSEC; clock_now_ns() < end;)
		loop_once(h.loop, 1);
	CHECK(!h.received);
	CHECK_EQ(move_source_set_rate(h.source, 0, NULL), -EINVAL);
	CHECK_EQ(move_source_set_rate(h.source, 1000000000, NULL), 0);
	CHECK(run_until(&h.received, false));
	tear_down();
}

static void damage_on_the_way_is_found(void)
{
	static const struct {
		size_t at;
		const char *code;
	} places[] = { { 3, "bad-record" }, { RECORD_BYTES + 100, "roots-differ" } };

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		struct digest_root before, after;

		set_up(&tracker_digest, MOVE_STOP_COPY, 2);
		drain();
		for (size_t k = 0; k < h.n_extents; k++)
			memset(page_space_at(h.a.space, h.extents[k].first), 9,
				h.extents[k].count * PAGE_BYTES);
		CHECK_EQ(digest_scan_root(h.a.space, NULL, &before), 0);
		h.damage = true;
		h.bandwidth = 10000000; // the damaged channel surely gets its share
		h.damage_at = places[i].at;
		open_ends();
		CHECK_EQ(move_source_final(h.source, on_round, NULL, NULL), 0);
		CHECK(run_until(&h.failed, false));
		CHECK_STR(h.error.code, places[i].code);
		CHECK(run_until(&h.dest_failed, false));
		CHECK(!h.received);
		h.source = move_source_abort(h.source);
		CHECK_EQ(digest_scan_root(h.a.space, NULL, &after), 0);
		CHECK(digest_root_equal(before, after));
		pthread_join(h.relay, NULL);
		tear_down();
	}
}

// A destination that reads nothing: sends block, and abort ends them at once.
static void abort_ends_a_blocked_round(void)
{
	struct move_source_spec spec = { .tracker = &tracker_digest, .n_fds = 2, .vm_log = -1 };
	int at_a[2], at_b[2];
	int64_t start;

	set_up(&tracker_digest, MOVE_PRECOPY, 2);
	for (int i = 0; i < 2; i++) {
		int fds[2];

		CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
		at_a[i] = fds[0];
		at_b[i] = fds[1];
	}
	memset(page_space_at(h.a.space, h.extents[0].first), 5, h.extents[0].count * PAGE_BYTES);
	spec.loop = h.loop;
	spec.space = h.a.space;
	spec.fds = at_a;
	CHECK_EQ(move_source_begin(&spec, &h.source, NULL), 0);
	CHECK_EQ(move_source_round(h.source, 1, on_round, NULL, NULL), 0);
	for (int i = 0; i < 20; i++)
		loop_once(h.loop, 1);
	CHECK(!h.answered);
	start = clock_now_ns();
	h.source = move_source_abort(h.source);
	CHECK(clock_now_ns() - start < NSEC_PER_SEC / 2);
	CHECK_STR(h.error.code, "aborted");
	close(at_b[0]);
	close(at_b[1]);
	tear_down();
}

// One object per call, larger than a record's payload; the third is as large as may be.
static int collect_large(void *arg, bool final, move_emit_fn emit, void *to, struct ferry_error *e)
{
	static uint8_t bytes[MOVE_MAX_OBJECT + 1];
	size_t n = h.n_collected++ < 2 ? 3000000 : MOVE_MAX_OBJECT;
	int rc;

	CHECK_EQ(emit(to, bytes, 0), -EINVAL);
	CHECK_EQ(emit(to, bytes, sizeof(bytes)), -E2BIG);
	memset(bytes, (int)h.n_collected, n);
	rc = emit(to, bytes, n);
	CHECK_EQ(final, h.n_collected == 3);
	return rc;
}

static int apply_large(void *arg, const void *bytes, size_t n, struct ferry_error *e)
{
	const uint8_t *at = bytes;

	CHECK_EQ(n, ++h.b.applied < 3 ? 3000000 : MOVE_MAX_OBJECT);
	CHECK_EQ(at[0], h.b.applied);
	CHECK_EQ(at[n - 1], h.b.applied);
	return 0;
}

static void large_objects_and_no_pages(void)
{
	set_up(&tracker_digest, MOVE_PRECOPY, 2);
	drain();
	while (h.n_extents)
		CHECK_EQ(page_space_free(h.a.space, h.extents[--h.n_extents].first), 0);
	h.collect = collect_large;
	h.apply = apply_large;
	h.bandwidth = 0;
	open_ends();
	run_quiet_round(1);
	CHECK_EQ(h.result.object_bytes, 3000000);
	CHECK_EQ(h.result.bytes, 0);
	run_quiet_round(2);
	run_final();
	CHECK_EQ(h.b.applied, 3);
	CHECK_EQ(h.result.root.pages, 0);
	tear_down();
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
	int turns = rand_r(&h.seed) % 12;
	bool dest_dies = cycle % 2;

	h.n_collected = 0;
	h.b.applied = 0;
	h.answered = h.failed = h.dest_failed = h.received = false;
	h.dest_rounds = 0;
	h.tracker = tracker;
	CHECK_EQ(page_space_new(QUOTA, &h.b.space, NULL), 0);
	open_ends();
	CHECK_EQ(move_source_round(h.source, 1, on_round, NULL, NULL), 0);
	for (int i = 0; i < turns; i++)
		loop_once(h.loop, 1);
	if (dest_dies) {
		h.dest = move_dest_close(h.dest);
		CHECK(run_until(&h.failed, false));
		CHECK(h.answered);
		CHECK_STR(h.error.code, "peer-lost");
		h.source = move_source_abort(h.source);
	} else {
		h.source = move_source_abort(h.source);
		CHECK(h.answered);
		CHECK(run_until(&h.dest_failed, false));
		h.dest = move_dest_close(h.dest);
	}
	h.b.space = page_space_close(h.b.space);
}

static void vanishing_leaves_nothing_behind(const struct tracker_ops *tracker)
{
	size_t fds;

	set_up(tracker, MOVE_PRECOPY, 3);
	h.b.space = page_space_close(h.b.space);
	one_end_vanishes(tracker, 0);
	fds = entries("/proc/self/fd");
	for (int cycle = 0; cycle < 40; cycle++)
		one_end_vanishes(tracker, cycle);
	CHECK_EQ(entries("/proc/self/fd"), fds);
	for (int i = 0; i < 200 && entries("/proc/self/task") != 4; i++)
		usleep(5000); // a joined thread is listed until the kernel has buried it
	CHECK_EQ(entries("/proc/self/task"), 4); // ".", "..", this thread and the writer
	CHECK_EQ(page_space_new(QUOTA, &h.b.space, NULL), 0);
	tear_down();
}

static void with_tracker(const struct tracker_ops *t)
{
	printf("tracker %s\n", t->name);
	precopy(t, 1);
	precopy(t, 4);
	printf("ok precopy\n");
	other_mode(t, MOVE_STOP_COPY);
	other_mode(t, MOVE_SINGLE_PASS);
	printf("ok other_mode\n");
	vanishing_leaves_nothing_behind(t);
	printf("ok vanishing_leaves_nothing_behind\n");
}

int main(void)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	setvbuf(stdout, NULL, _IOLBF, 0);
	RUN(wrong_calls_are_refused);
	RUN(the_destinations_reason_arrives);
	RUN(a_round_waits_for_what_it_brought_to_be_built);
	RUN(a_new_rate_holds_for_a_round_under_way);
	RUN(damage_on_the_way_is_found);
	RUN(abort_ends_a_blocked_round);
	RUN(large_objects_and_no_pages);
	with_tracker(&tracker_digest);
	if (tracker_wp.probe(&e))
		printf("not tested: wp: %s\n", e.message);
	else
		with_tracker(&tracker_wp);
	return 0;
}
