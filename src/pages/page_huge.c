// SPDX-License-Identifier: Apache-2.0
#include "pages/page_huge.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "pages/kernel_abi.h"
#include "pages/page_space_impl.h"
#include "pages/tracker.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 // linux/mman.h, Linux 6.1
#endif

#define ENDED_AT_ONCE ((64u << 20) / PAGE_BYTES)

// ---- what is merged

static void forget(struct page_space *s, struct page_run chunks)
{
	if (!bitmap_count(&s->merged, chunks.first, page_run_end(chunks)))
		return;
	bitmap_clear(&s->merged, chunks);
	s->losses++;
}

void page_huge_note_punched(struct page_space *s, struct page_run run)
{
	uint64_t first = run.first / HUGE_PAGES;
	uint64_t end = (page_run_end(run) + HUGE_PAGES - 1) / HUGE_PAGES;
	struct page_run chunks = { first, end - first };

	forget(s, chunks);
	bitmap_set(&s->young, chunks);
}

static bool is_all_there(const struct page_space *s, struct page_run run)
{
	struct page_run data;

	return page_space_next_data(s, run, &data) && data.count == run.count;
}

static int locked_merge(struct page_space *s, struct page_run run)
{
	struct page_run chunk = { run.first / HUGE_PAGES, 1 };

	if (s->trackers || s->registration >= 0)
		return -EBUSY;
	if (bitmap_test(&s->young, chunk.first)) {
		bitmap_clear(&s->young, chunk);
		return 0;
	}
	if (bitmap_test(&s->merged, chunk.first) || !is_all_there(s, run))
		return 0;
	if (madvise(page_space_at(s, run.first), HUGE_BYTES, MADV_COLLAPSE))
		return errno == EBUSY ? -ENOMEM : -errno; // EBUSY: the control group's limit
	bitmap_set(&s->merged, chunk);
	s->merged_any = true;
	return 1;
}

int page_huge_merge(struct page_space *s, uint64_t first)
{
	pthread_mutex_lock(&s->lock);
	int r = locked_merge(s, (struct page_run){ first, HUGE_PAGES });
	pthread_mutex_unlock(&s->lock);
	return r;
}

int page_huge_merge_patiently(struct page_space *s, uint64_t first)
{
	int r = page_huge_merge(s, first);

	for (int i = 0; i < 1000 && r == -EAGAIN; i++) {
		usleep(1000);
		r = page_huge_merge(s, first);
	}
	return r;
}

uint64_t page_huge_bytes(struct page_space *s)
{
	pthread_mutex_lock(&s->lock);
	uint64_t n = bitmap_count(&s->merged, 0, s->merged.bits);
	pthread_mutex_unlock(&s->lock);
	return n * HUGE_BYTES;
}

bool page_huge_any(struct page_space *s)
{
	pthread_mutex_lock(&s->lock);
	bool any = s->merged_any;
	pthread_mutex_unlock(&s->lock);
	return any;
}

uint64_t page_huge_losses(struct page_space *s)
{
	pthread_mutex_lock(&s->lock);
	uint64_t n = s->losses;
	pthread_mutex_unlock(&s->lock);
	return n;
}

// ---- a tracker's registration

int page_space_take_registration(struct page_space *s)
{
	pthread_mutex_lock(&s->lock);
	int fd = s->registration;
	s->registration = -1;
	s->trackers++;
	pthread_mutex_unlock(&s->lock);
	return fd;
}

void page_space_keep_registration(struct page_space *s, int fd)
{
	pthread_mutex_lock(&s->lock);
	s->trackers--;
	if (fd >= 0) {
		s->registration = fd;
		s->ended_before = 0;
		forget(s, (struct page_run){ 0, s->merged.bits }); // how much of it, nobody says
	}
	pthread_mutex_unlock(&s->lock);
}

static bool locked_end_some(struct page_space *s)
{
	uint64_t left = s->pages - s->ended_before;
	uint64_t n = left < ENDED_AT_ONCE ? left : ENDED_AT_ONCE;
	struct uffdio_range range = { (uintptr_t)page_space_at(s, s->ended_before),
		n * PAGE_BYTES };

	if (s->registration < 0)
		return false;
	s->ended_before += n;
	if (!ioctl(s->registration, UFFDIO_UNREGISTER, &range) && s->ended_before < s->pages)
		return true;
	close(s->registration); // all of it, or the kernel has no room for one more mapping: the rest too
	s->registration = -1;
	return false;
}

bool page_huge_end_registration(struct page_space *s)
{
	pthread_mutex_lock(&s->lock);
	bool more = locked_end_some(s);
	pthread_mutex_unlock(&s->lock);
	return more;
}

// ---- whether it works here

static int probe_merge(struct ferry_error *e)
{
	struct page_space *s = NULL;
	struct page_run run = { 0 };
	int rc = page_space_new(HUGE_BYTES, &s, e);

	if (!rc)
		rc = page_space_alloc(s, HUGE_BYTES, &run, e);
	if (!rc) {
		memset(page_space_at(s, run.first), 1, HUGE_BYTES);
		rc = page_huge_merge_patiently(s, run.first);
		rc = rc < 0 ? ferry_fail(e, rc, "no-huge-pages",
				      "this kernel merges no pages of a shared memory: %s",
				      strerror(-rc))
			    : 0;
	}
	page_space_close(s);
	return rc;
}

int page_huge_probe(struct ferry_error *e)
{
	int rc = probe_merge(e);

	return rc || tracker_wp.probe(NULL) ? rc : tracker_wp.probe_huge(e);
}
