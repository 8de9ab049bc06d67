// SPDX-License-Identifier: Apache-2.0
#include "vgpu/huge_pages.h"

#include "base/clock.h"
#include "base/log.h"
#include "pages/page_huge.h"
#include "vgpu/session/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_NS       (2 * NSEC_PER_SEC)
#define LOOK_EAGER_NS (20 * NSEC_PER_MSEC)
#define LOOK_TIMES    32 // as long while nothing comes of it
#define STEP_NS       (4 * NSEC_PER_MSEC)
#define REST_TIMES    4 // of what a step took, before the next

// A pass goes once over all whole huge pages inside extents, as they are when it begins.
struct pass {
	bool on;
	struct page_run *runs;
	size_t n, cap;
	size_t at;     // of the runs
	uint64_t next; // page
	uint64_t merged;
	int err; // what ended it early; 0: nothing
	int64_t took_ns;
};

struct huge_pages {
	struct loop *loop;
	struct page_space *space;
	struct worker *worker;
	struct watch *timer;
	bool ending;
	bool probed, works;
	struct pass pass;            // the worker's while a step is under way
	uint64_t generation, losses; // when the last pass began
	int64_t often_ns, look_ns;   // the shortest time between passes, and the next one
};

// ---- on the worker's thread

static void merge_next(struct pass *p, struct page_space *s)
{
	const struct page_run *run = &p->runs[p->at];

	if (p->next < run->first)
		p->next = run->first;
	int r = page_huge_merge(s, p->next);
	if (r == -EBUSY || r == -ENOMEM)
		p->err = r;
	else if (r > 0) // else the next pass may have more luck
		p->merged++;
	p->next += HUGE_PAGES;
	if (p->next >= page_run_end(*run))
		p->at++;
}

static bool pass_over(const struct pass *p)
{
	return p->err || p->at == p->n;
}

static void probe(struct huge_pages *h)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	h->probed = true;
	h->works = page_huge_probe(&e) == 0;
	if (h->works)
		return;
	h->pass.err = -ENOTSUP;
	log_info("no huge pages: %s", e.message);
}

static void run_step(void *arg)
{
	struct huge_pages *h = arg;
	struct pass *p = &h->pass;
	int64_t start = clock_now_ns();
	bool registered = true;

	if (!h->probed)
		probe(h);
	while (!pass_over(p) && clock_now_ns() - start < STEP_NS)
		if (registered)
			registered = page_huge_end_registration(h->space);
		else
			merge_next(p, h->space);
	p->took_ns = clock_now_ns() - start;
}

// ---- on the loop's

static void look_after(struct huge_pages *h, int64_t ns)
{
	watch_set_timer(h->timer, clock_now_ns() + ns);
}

// The next pass: later and later while nothing comes of them.
static void end_pass(struct huge_pages *h)
{
	struct pass *p = &h->pass;

	p->on = false;
	if (p->merged)
		log_info("%llu MiB in huge pages, %llu of them new",
			(unsigned long long)(page_huge_bytes(h->space) >> 20),
			(unsigned long long)(p->merged * HUGE_BYTES >> 20));
	if (p->err && p->err != -EBUSY && h->works)
		log_info("cannot make more huge pages now: %s", strerror(-p->err));
	if (p->merged || p->err == -EBUSY)
		h->look_ns = h->often_ns;
	else if (h->look_ns < LOOK_TIMES * h->often_ns)
		h->look_ns *= 2;
	if (h->works || !h->probed)
		look_after(h, h->look_ns);
}

static void end_step(void *arg)
{
	struct huge_pages *h = arg;

	if (h->ending)
		return;
	if (pass_over(&h->pass))
		end_pass(h);
	else
		look_after(h, REST_TIMES * h->pass.took_ns);
}

static int add_run(struct pass *p, struct page_run extent)
{
	uint64_t first = (extent.first + HUGE_PAGES - 1) / HUGE_PAGES * HUGE_PAGES;
	uint64_t end = page_run_end(extent) / HUGE_PAGES * HUGE_PAGES;

	if (first >= end)
		return 0;
	if (p->n == p->cap) {
		size_t cap = p->cap ? 2 * p->cap : 64;
		struct page_run *runs = realloc(p->runs, cap * sizeof *runs);
		if (!runs)
			return -ENOMEM;
		p->runs = runs;
		p->cap = cap;
	}
	p->runs[p->n++] = (struct page_run){ first, end - first };
	return 0;
}

static void begin_pass(struct huge_pages *h)
{
	struct pass *p = &h->pass;
	struct page_run extent;

	p->n = p->at = 0;
	p->next = p->merged = 0;
	p->err = page_space_is_incoming(h->space) ? -EBUSY : 0;
	for (uint64_t at = 0; !p->err && page_space_next(h->space, at, &extent);
		at = page_run_end(extent))
		p->err = add_run(p, extent);
	p->on = true;
}

static void note_changes(struct huge_pages *h)
{
	uint64_t generation = page_space_generation(h->space);
	uint64_t losses = page_huge_losses(h->space);

	if (generation != h->generation || losses != h->losses)
		h->look_ns = h->often_ns;
	h->generation = generation;
	h->losses = losses;
}

static void on_timer(void *arg)
{
	struct huge_pages *h = arg;

	if (!h->pass.on) {
		note_changes(h);
		begin_pass(h);
	}
	if (pass_over(&h->pass))
		end_pass(h);
	else if (worker_add(h->worker, run_step, end_step, h) < 0)
		look_after(h, h->often_ns);
}

// ---- life

static int start(struct huge_pages *h, struct ferry_error *e)
{
	h->timer = loop_timer(h->loop, clock_now_ns() + h->often_ns, on_timer, h);
	if (!h->timer)
		return ferry_fail(e, ENOMEM, "no-memory", "no memory for huge pages");
	return worker_new(h->loop, &h->worker, e);
}

int huge_pages_new(
	struct loop *l, struct page_space *s, struct huge_pages **ret, struct ferry_error *e)
{
	const char *env = getenv("FERRY_HUGE_PAGES");
	struct huge_pages *h;

	*ret = NULL;
	if (env && !strcmp(env, "off"))
		return 0;
	h = calloc(1, sizeof *h);
	if (!h)
		return ferry_fail(e, ENOMEM, "no-memory", "no memory for huge pages");
	*h = (struct huge_pages){ .loop = l, .space = s };
	h->often_ns = env && !strcmp(env, "eager") ? LOOK_EAGER_NS : LOOK_NS;
	h->look_ns = h->often_ns;
	int r = start(h, e);
	if (r < 0)
		huge_pages_free(h);
	else
		*ret = h;
	return r;
}

struct huge_pages *huge_pages_free(struct huge_pages *h)
{
	if (!h)
		return NULL;
	h->ending = true;
	worker_free(h->worker);
	watch_remove(h->timer);
	free(h->pass.runs);
	free(h);
	return NULL;
}
