// SPDX-License-Identifier: Apache-2.0
#include "vgpu/testing/testmove.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/test.h"

static int collect(void *arg, bool final, move_emit_fn emit, void *to, struct ferry_error *e)
{
	struct testmove *t = arg;
	int rc = 0;

	while (!rc && t->n_collected < t->n_notes)
		rc = emit(to, &t->notes[t->n_collected++], sizeof(struct note));
	return rc;
}

static int apply(void *arg, const void *bytes, size_t n, struct ferry_error *e)
{
	struct testmove *t = arg;
	struct note note;

	if (t->refuse_objects)
		return ferry_fail(e, EINVAL, "bad-object", "not this one");
	CHECK_EQ(n, sizeof(note));
	memcpy(&note, bytes, n);
	CHECK(!memcmp(&note, &t->notes[t->b.applied++], n)); // in order
	if (!note.count)
		return page_space_free(t->b.space, note.first);
	return page_space_claim(t->b.space, (struct page_run){ note.first, note.count }, e);
}

static bool settled(void *arg)
{
	struct testmove *t = arg;

	return !t->building;
}

static void note_change(struct testmove *t, uint64_t first, uint64_t count)
{
	CHECK(t->n_notes < TESTMOVE_NOTES);
	t->notes[t->n_notes++] = (struct note){ first, count };
}

static void change_extents(struct testmove *t)
{
	pthread_mutex_lock(&t->lock);
	if (t->n_extents < TESTMOVE_EXTENTS && rand_r(&t->seed) % 2) {
		uint64_t pages = 1 + (uint64_t)rand_r(&t->seed) % 120;
		struct page_run run;

		if (!page_space_alloc(t->a.space, pages * PAGE_BYTES, &run, NULL)) {
			t->extents[t->n_extents++] = run;
			note_change(t, run.first, run.count);
		}
	} else if (t->n_extents > 4) {
		size_t i = (size_t)rand_r(&t->seed) % t->n_extents;

		CHECK_EQ(page_space_free(t->a.space, t->extents[i].first), 0);
		note_change(t, t->extents[i].first, 0);
		t->extents[i] = t->extents[--t->n_extents];
	}
	pthread_mutex_unlock(&t->lock);
}

// Mostly small writes, some whole pages, sometimes zeros.
static void write_somewhere(struct testmove *t, unsigned *seed)
{
	struct page_run r = t->extents[(size_t)rand_r(seed) % t->n_extents];
	uint8_t *p = page_space_at(t->a.space, r.first + (uint64_t)rand_r(seed) % r.count);

	if (rand_r(seed) % 4)
		p[rand_r(seed) % PAGE_BYTES] = (uint8_t)(rand_r(seed) % 3);
	else
		memset(p, rand_r(seed) % 3, PAGE_BYTES);
}

static void *write_all_the_time(void *arg)
{
	struct testmove *t = arg;
	unsigned seed = 11;

	while (!atomic_load(&t->stop)) {
		pthread_mutex_lock(&t->lock);
		for (int i = 0; i < 40 && t->writing; i++)
			write_somewhere(t, &seed);
		pthread_mutex_unlock(&t->lock);
		usleep(50);
	}
	return NULL;
}

void testmove_answered(void *arg, const struct move_round_result *r, const struct ferry_error *e)
{
	struct testmove *t = arg;

	t->answered = true;
	if (r)
		t->result = *r;
	else
		t->error = *e;
}

static void on_failed(void *arg, const struct ferry_error *e)
{
	struct testmove *t = arg;

	t->failed = true;
	t->error = *e;
}

static void on_dest_round(void *arg, uint32_t n)
{
	struct testmove *t = arg;

	CHECK(n > t->dest_rounds);
	t->dest_rounds = n;
}

static void on_received(void *arg, struct digest_root root, uint64_t bytes)
{
	struct testmove *t = arg;

	t->received = true;
	t->received_root = root;
	CHECK(bytes > 0);
	if (t->mode == MOVE_STOP_COPY) { // at once: the source hears DONE and the end together
		CHECK_EQ(move_dest_own(t->dest, NULL), 0);
		t->dest = NULL;
		usleep(2000);
	}
}

static void on_dest_failed(void *arg, const struct ferry_error *e)
{
	struct testmove *t = arg;

	t->dest_failed = true;
	t->dest_error = *e;
}

void testmove_open(struct testmove *t)
{
	const struct move_objects notes = { collect, apply, settled, t };
	struct move_objects objects = t->objects.apply ? t->objects : notes;
	struct move_source_spec source = { .loop = t->loop,
		.space = t->a.space,
		.tracker = t->tracker,
		.mode = t->mode,
		.n_fds = t->channels,
		.vm_log = t->a.vm_log,
		.bandwidth = t->bandwidth,
		.watch_ms = 20,
		.objects = objects,
		.events = { .failed = on_failed, .arg = t } };
	struct move_dest_spec dest = { .loop = t->loop,
		.space = t->b.space,
		.n_fds = t->channels,
		.vm_log = t->b.vm_log,
		.objects = objects,
		.events = { .round = on_dest_round,
			.received = on_received,
			.failed = on_dest_failed,
			.arg = t } };
	int at_a[MOVE_MAX_CHANNELS], at_b[MOVE_MAX_CHANNELS];

	for (size_t i = 0; i < t->channels; i++) {
		int fds[2];

		CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
		at_a[i] = fds[0];
		at_b[i] = fds[1];
	}
	if (t->tamper)
		t->tamper(&at_a[1], &at_b[1]);
	source.fds = at_a;
	dest.fds = at_b;
	CHECK_EQ(move_dest_receive(&dest, &t->dest, NULL), 0);
	CHECK_EQ(move_source_begin(&source, &t->source, NULL), 0);
}

void testmove_set_up(
	struct testmove *t, const struct tracker_ops *tracker, enum move_mode mode, size_t channels)
{
	memset(t, 0, sizeof(*t));
	t->tracker = tracker;
	t->mode = mode;
	t->channels = channels;
	t->seed = (unsigned)channels + 5;
	t->bandwidth = 150000000; // rounds last long enough for something to happen
	t->loop = loop_new();
	t->a.vm_log = memfd_create("log-a", MFD_CLOEXEC);
	t->b.vm_log = memfd_create("log-b", MFD_CLOEXEC);
	pthread_mutex_init(&t->lock, NULL);
	CHECK_EQ(page_space_new(TESTMOVE_QUOTA, &t->a.space, NULL), 0);
	CHECK_EQ(page_space_new(TESTMOVE_QUOTA, &t->b.space, NULL), 0);
	while (t->n_extents < 10)
		change_extents(t);
	t->writing = true;
	CHECK_EQ(pthread_create(&t->writer, NULL, write_all_the_time, t), 0);
}

void testmove_drain(struct testmove *t)
{
	pthread_mutex_lock(&t->lock);
	t->writing = false;
	pthread_mutex_unlock(&t->lock);
}

void testmove_fill(struct testmove *t, int byte)
{
	for (size_t i = 0; i < t->n_extents; i++)
		memset(page_space_at(t->a.space, t->extents[i].first), byte,
			t->extents[i].count * PAGE_BYTES);
}

void testmove_tear_down(struct testmove *t)
{
	atomic_store(&t->stop, true);
	pthread_join(t->writer, NULL);
	t->source = move_source_abort(t->source);
	t->dest = move_dest_close(t->dest);
	page_space_close(t->a.space);
	page_space_close(t->b.space);
	t->loop = loop_free(t->loop);
	close(t->a.vm_log);
	close(t->b.vm_log);
	pthread_mutex_destroy(&t->lock);
}

bool testmove_run_until(struct testmove *t, const bool *flag, bool changing)
{
	int64_t end = clock_now_ns() + 10 * NSEC_PER_SEC;

	while (!*flag && clock_now_ns() < end) {
		loop_once(t->loop, changing ? 1 : 20);
		for (int i = 0; changing && i < 3; i++)
			change_extents(t);
	}
	return *flag;
}

void testmove_round(struct testmove *t, uint32_t n, bool changing)
{
	t->answered = false;
	CHECK_EQ(move_source_round(t->source, n, testmove_answered, t, NULL), 0);
	CHECK(testmove_run_until(t, &t->answered, changing));
	CHECK(!t->failed);
	CHECK_EQ(t->result.n, n);
}

void testmove_ahead(struct testmove *t, bool changing)
{
	t->answered = false;
	CHECK_EQ(move_source_ahead(t->source, testmove_answered, t, NULL), 0);
	CHECK(testmove_run_until(t, &t->answered, changing));
	CHECK(!t->failed);
}

void testmove_final(struct testmove *t)
{
	testmove_drain(t);
	t->answered = false;
	CHECK_EQ(move_source_final(t->source, testmove_answered, t, NULL), 0);
	CHECK(testmove_run_until(t, &t->answered, false));
	if (t->failed)
		fprintf(stderr, "%s: %s\n", t->error.code, t->error.message);
	CHECK(!t->failed);
	CHECK(testmove_run_until(t, &t->received, false));
}

void testmove_check_equal(struct testmove *t)
{
	struct page_run a, b = { 0 };
	uint64_t p, pages = page_space_pages(t->a.space);

	for (p = 0; page_space_next(t->a.space, p, &a); p = page_run_end(a)) {
		CHECK(page_space_next(t->b.space, p, &b));
		CHECK(a.first == b.first && a.count == b.count);
	}
	CHECK(!page_space_next(t->b.space, p, &b));
	CHECK(!memcmp(
		page_space_base(t->a.space), page_space_base(t->b.space), pages * PAGE_BYTES));
	CHECK(digest_root_equal(t->result.root, t->received_root));
}

void testmove_each_tracker(void (*test)(const struct tracker_ops *tracker))
{
	const struct tracker_ops *all[] = { &tracker_digest, &tracker_wp };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct ferry_error e = FERRY_ERROR_INIT;
		if (all[i]->probe(&e)) {
			printf("not tested: %s: %s\n", all[i]->name, e.message);
			continue;
		}
		printf("tracker %s\n", all[i]->name);
		test(all[i]);
	}
}
