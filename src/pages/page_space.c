// SPDX-License-Identifier: Apache-2.0
#include "pages/page_space.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "pages/page_huge.h"
#include "pages/page_space_impl.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 // linux/mman.h, Linux 5.14
#endif

#define BASE_ALIGN     HUGE_BYTES
#define POPULATE_BYTES (16u << 20)

static uint64_t space_bytes(const struct page_space *s)
{
	return s->pages * PAGE_BYTES;
}

// An older kernel takes the address as a hint.
static bool map_fixed(struct page_space *s)
{
	void *wanted = (void *)(uintptr_t)PAGE_SPACE_BASE;
	void *p = mmap(wanted, space_bytes(s), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_NORESERVE | MAP_FIXED_NOREPLACE, s->fd, 0);

	if (p == MAP_FAILED)
		return false;
	if (p == wanted)
		s->base = p;
	else
		munmap(p, space_bytes(s));
	return p == wanted;
}

// One shared mapping, aligned by reserving more and unmapping both ends.
static int map_aligned(struct page_space *s)
{
	size_t n = space_bytes(s), reserve = n + BASE_ALIGN;
	uint8_t *p =
		mmap(NULL, reserve, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *base;

	if (p == MAP_FAILED)
		return -errno;
	base = (uint8_t *)(((uintptr_t)p + BASE_ALIGN - 1) & ~(uintptr_t)(BASE_ALIGN - 1));
	if (mmap(base, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, s->fd,
		    0) == MAP_FAILED) {
		int err = -errno;

		munmap(p, reserve);
		return err;
	}
	if (base > p)
		munmap(p, (size_t)(base - p));
	if (p + reserve > base + n)
		munmap(base + n, (size_t)(p + reserve - (base + n)));
	s->base = base;
	return 0;
}

static int open_space(struct page_space *s)
{
	int rc;

	s->fd = memfd_create("ferry-framebuffer", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (s->fd < 0 || ftruncate(s->fd, (off_t)space_bytes(s)) ||
		fcntl(s->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return -errno;
	rc = map_fixed(s) ? 0 : map_aligned(s);
	if (rc)
		return rc;
	rc = bitmap_init(&s->freed, s->pages);
	if (!rc)
		rc = bitmap_init(&s->merged, (s->pages + HUGE_PAGES - 1) / HUGE_PAGES);
	if (!rc)
		rc = bitmap_init(&s->young, s->merged.bits);
	if (rc)
		return rc;
	return extent_tree_insert(&s->unused, (struct page_run){ 0, s->pages });
}

int page_space_new(uint64_t memory_bytes, struct page_space **ret, struct ferry_error *e)
{
	struct page_space *s;
	int rc;

	if (!memory_bytes || memory_bytes % PAGE_BYTES || memory_bytes > PAGE_SPACE_MAX)
		return ferry_fail(e, EINVAL, "bad-size",
			"vGPU memory of %llu bytes: must be a multiple of %u and at most %llu",
			(unsigned long long)memory_bytes, PAGE_BYTES, PAGE_SPACE_MAX);
	s = calloc(1, sizeof(*s));
	if (!s)
		return ferry_fail(e, ENOMEM, "no-memory", "page space: out of memory");
	s->fd = s->registration = -1;
	pthread_mutex_init(&s->lock, NULL);
	s->quota = memory_bytes / PAGE_BYTES;
	s->pages = s->quota * PAGE_SPACE_TIMES;
	rc = open_space(s);
	if (rc) {
		page_space_close(s);
		return ferry_fail(e, rc, "no-memory", "page space of %llu bytes: %s",
			(unsigned long long)memory_bytes * PAGE_SPACE_TIMES, strerror(-rc));
	}
	*ret = s;
	return 0;
}

struct page_space *page_space_close(struct page_space *s)
{
	if (!s)
		return NULL;
	if (s->base)
		munmap(s->base, space_bytes(s));
	if (s->registration >= 0)
		close(s->registration);
	if (s->fd >= 0)
		close(s->fd);
	bitmap_destroy(&s->freed);
	bitmap_destroy(&s->merged);
	bitmap_destroy(&s->young);
	pthread_mutex_destroy(&s->lock);
	extent_tree_clear(&s->allocated);
	extent_tree_clear(&s->unused);
	free(s);
	return NULL;
}

uint8_t *page_space_base(const struct page_space *s)
{
	return s->base;
}

bool page_space_is_fixed(const struct page_space *s)
{
	return (uintptr_t)s->base == PAGE_SPACE_BASE;
}

void *page_space_at(const struct page_space *s, uint64_t page)
{
	return s->base + page * PAGE_BYTES;
}

int page_space_fd(const struct page_space *s)
{
	return s->fd;
}

uint64_t page_space_pages(const struct page_space *s)
{
	return s->pages;
}

uint64_t page_space_quota_bytes(const struct page_space *s)
{
	return s->quota * PAGE_BYTES;
}

uint64_t page_space_allocated_bytes(const struct page_space *s)
{
	return s->allocated_pages * PAGE_BYTES;
}

uint64_t page_space_extents(const struct page_space *s)
{
	return s->allocated.n;
}

uint64_t page_space_generation(const struct page_space *s)
{
	return s->generation;
}

static uint64_t wanted_alignment(uint64_t pages)
{
	if (pages >= HUGE_PAGES)
		return HUGE_PAGES;
	return pages >= (64u << 10) / PAGE_BYTES ? (64u << 10) / PAGE_BYTES : 1;
}

// Moves `run` from the hole that holds it to the allocated extents. What is left of the hole stays
// before and after it.
static int carve(struct page_space *s, struct page_run hole, struct page_run run)
{
	struct page_run before = { hole.first, run.first - hole.first };
	struct page_run after = { page_run_end(run), page_run_end(hole) - page_run_end(run) };
	int rc = extent_tree_insert(&s->allocated, run);

	if (rc)
		return rc;
	if (before.count && after.count) {
		rc = extent_tree_insert(&s->unused, after);
		if (rc) {
			extent_tree_remove(&s->allocated, run.first, NULL);
			return rc;
		}
		extent_tree_change(&s->unused, hole.first, before);
	} else if (before.count || after.count) {
		extent_tree_change(&s->unused, hole.first, before.count ? before : after);
	} else {
		extent_tree_remove(&s->unused, hole.first, NULL);
	}
	s->allocated_pages += run.count;
	s->generation++;
	return 0;
}

static int check_quota(const struct page_space *s, uint64_t pages, struct ferry_error *e)
{
	if (pages <= s->quota - s->allocated_pages)
		return 0;
	return ferry_fail(e, ENOSPC, "over-quota",
		"%llu bytes do not fit: %llu of %llu bytes of vGPU memory are in use",
		(unsigned long long)pages * PAGE_BYTES,
		(unsigned long long)page_space_allocated_bytes(s),
		(unsigned long long)page_space_quota_bytes(s));
}

int page_space_alloc(
	struct page_space *s, uint64_t bytes, struct page_run *ret, struct ferry_error *e)
{
	uint64_t pages = bytes / PAGE_BYTES + (bytes % PAGE_BYTES != 0);
	uint64_t align = wanted_alignment(pages);
	struct page_run hole, run = { .count = pages };
	int rc;

	if (!pages)
		return ferry_fail(e, EINVAL, "bad-size", "an extent of 0 bytes");
	rc = check_quota(s, pages, e);
	if (rc)
		return rc;
	// A hole with room for the worst offset surely holds an aligned run; else take any.
	if (!extent_tree_first_fit(&s->unused, pages + align - 1, &hole)) {
		align = 1;
		if (!extent_tree_first_fit(&s->unused, pages, &hole))
			return ferry_fail(e, ENOSPC, "fragmented",
				"no hole of %llu bytes in the vGPU's page space",
				(unsigned long long)bytes);
	}
	run.first = (hole.first + align - 1) / align * align;
	rc = carve(s, hole, run);
	if (rc)
		return ferry_fail(e, rc, "no-memory", "extent: out of memory");
	*ret = run;
	return 0;
}

int page_space_claim(struct page_space *s, struct page_run run, struct ferry_error *e)
{
	struct page_run hole;
	int rc;

	if (!run.count || run.first >= s->pages || run.count > s->pages - run.first)
		return ferry_fail(e, EINVAL, "bad-extent", "extent %llu+%llu is out of bounds",
			(unsigned long long)run.first, (unsigned long long)run.count);
	rc = check_quota(s, run.count, e);
	if (rc)
		return rc;
	if (!extent_tree_at_or_before(&s->unused, run.first, &hole) ||
		page_run_end(hole) < page_run_end(run))
		return ferry_fail(e, EEXIST, "extent-taken", "extent %llu+%llu is in use already",
			(unsigned long long)run.first, (unsigned long long)run.count);
	rc = carve(s, hole, run);
	if (rc)
		return ferry_fail(e, rc, "no-memory", "extent: out of memory");
	return 0;
}

// Gives the pages back to the holes, joined with those that they touch. Cannot fail for want of
// memory when a neighbour is a hole; otherwise one node is needed.
static int uncarve(struct page_space *s, struct page_run run)
{
	struct page_run prev, next;
	bool joins_prev = extent_tree_at_or_before(&s->unused, run.first, &prev) &&
			  page_run_end(prev) == run.first;
	bool joins_next = extent_tree_at_or_after(&s->unused, run.first, &next) &&
			  page_run_end(run) == next.first;
	struct page_run joined = run;

	if (joins_next) {
		joined.count += next.count;
		if (joins_prev)
			extent_tree_remove(&s->unused, next.first, NULL);
		else
			extent_tree_change(&s->unused, next.first, joined);
	}
	if (joins_prev) {
		joined = (struct page_run){ prev.first, prev.count + joined.count };
		extent_tree_change(&s->unused, prev.first, joined);
	}
	if (joins_prev || joins_next)
		return 0;
	return extent_tree_insert(&s->unused, run);
}

int page_space_free(struct page_space *s, uint64_t first)
{
	struct page_run run;
	int rc;

	if (!extent_tree_at_or_before(&s->allocated, first, &run) || run.first != first)
		return -ENOENT;
	if (!s->incoming) {
		rc = page_space_zero(s, run);
		if (rc)
			return rc;
	}
	if (s->note_frees)
		bitmap_set(&s->freed, run); // before anything can fail: the memory is zero now
	rc = uncarve(s, run);
	if (rc)
		return rc;
	extent_tree_remove(&s->allocated, first, NULL);
	s->allocated_pages -= run.count;
	s->generation++;
	return 0;
}

bool page_space_find(const struct page_space *s, uint64_t page, struct page_run *ret)
{
	struct page_run run;

	if (!extent_tree_at_or_before(&s->allocated, page, &run) || page >= page_run_end(run))
		return false;
	*ret = run;
	return true;
}

bool page_space_next(const struct page_space *s, uint64_t page, struct page_run *ret)
{
	return extent_tree_at_or_after(&s->allocated, page, ret);
}

void page_space_note_frees(struct page_space *s, bool on)
{
	s->note_frees = on;
	bitmap_clear_all(&s->freed);
}

struct bitmap *page_space_freed(struct page_space *s)
{
	return &s->freed;
}

void page_space_set_incoming(struct page_space *s, bool on)
{
	s->incoming = on;
}

bool page_space_is_incoming(const struct page_space *s)
{
	return s->incoming;
}

int page_space_zero(struct page_space *s, struct page_run run)
{
	pthread_mutex_lock(&s->lock);
	int rc = madvise(page_space_at(s, run.first), run.count * PAGE_BYTES, MADV_REMOVE);
	if (rc)
		rc = -errno;
	page_huge_note_punched(s, run);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

bool page_space_next_data(const struct page_space *s, struct page_run within, struct page_run *ret)
{
	off_t end = (off_t)(page_run_end(within) * PAGE_BYTES);
	off_t data = lseek(s->fd, (off_t)(within.first * PAGE_BYTES), SEEK_DATA), hole;

	if (data < 0 && errno == ENXIO)
		return false;
	// A file system that cannot tell would be a reason to read everything, not to skip it.
	if (data < 0)
		data = (off_t)(within.first * PAGE_BYTES);
	if (data >= end)
		return false;
	hole = lseek(s->fd, data, SEEK_HOLE);
	if (hole < 0 || hole > end)
		hole = end;
	ret->first = (uint64_t)data / PAGE_BYTES;
	ret->count = (uint64_t)hole / PAGE_BYTES - ret->first;
	return true;
}

int page_space_populate(struct page_space *s, struct page_run run, const atomic_bool *stop)
{
	uint8_t *p = page_space_at(s, run.first), *end = p + run.count * PAGE_BYTES;

	while (p < end) {
		size_t n = (size_t)(end - p) < POPULATE_BYTES ? (size_t)(end - p) : POPULATE_BYTES;

		if (stop && atomic_load_explicit(stop, memory_order_relaxed))
			return -ECANCELED;
		if (madvise(p, n, MADV_POPULATE_WRITE))
			return -errno;
		p += n;
	}
	return 0;
}
