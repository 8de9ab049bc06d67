// SPDX-License-Identifier: Apache-2.0
// The kernel's asynchronous write protection: a write to an armed page costs one fault and disarms
// it; PAGEMAP_SCAN lists the disarmed pages and arms them again in one step. Nothing ever waits for
// us, so no thread serves faults, and an unprivileged user may do it (UFFD_USER_MODE_ONLY).
//
// A huge page is armed in one entry, which costs its readers nothing and its first writer one fault; from
// there on all of it counts as written. The first scan that finds it so has the kernel split it, and
// from then on tells its pages apart: so each huge page is named whole once, and one that is only read
// stays huge however long it is tracked.
#include "pages/tracker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "pages/kernel_abi.h"
#include "pages/page_huge.h"

#define REGIONS      4096 // of one PAGEMAP_SCAN call
#define HUGE_REGIONS 64
// Extents closer than this are scanned in one call: walking a gap is cheaper than a system call.
#define GAP_PAGES 512

struct tracker {
	struct page_space *space;
	int uffd, pagemap;
	bool took, registered;
	struct page_region *regions;
};

// Stays registered. To end that, the kernel goes over every page in one call (45 ms for 512 MiB, with the
// whole vGPU waiting), and leaves them protected all the same: each faults once more at its next write.
// What is armed now does that as well, and what was written since has no fault any more.
static void wp_close(struct tracker *t)
{
	if (!t)
		return;
	if (t->uffd >= 0 && !t->registered) {
		close(t->uffd);
		t->uffd = -1;
	}
	if (t->took)
		page_space_keep_registration(t->space, t->uffd);
	if (t->pagemap >= 0)
		close(t->pagemap);
	free(t->regions);
	free(t);
}

static int open_userfaultfd(struct tracker *t, struct ferry_error *e)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED |
			    UFFD_FEATURE_WP_HUGETLBFS_SHMEM,
	};

	t->uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
	if (t->uffd < 0)
		return ferry_fail(e, errno, "no-userfaultfd", "userfaultfd: %s", strerror(errno));
	if (ioctl(t->uffd, UFFDIO_API, &api))
		return ferry_fail(e, errno, "no-wp-async",
			"userfaultfd has no asynchronous write protection (Linux 6.7 has): %s",
			strerror(errno));
	return 0;
}

static int register_space(struct tracker *t, struct ferry_error *e)
{
	struct uffdio_register reg = {
		.range = { (uintptr_t)page_space_base(t->space),
			page_space_pages(t->space) * PAGE_BYTES },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};

	t->registered = !ioctl(t->uffd, UFFDIO_REGISTER, &reg);
	if (t->registered)
		return 0;
	if (errno == EBUSY)
		return ferry_fail(e, EBUSY, "tracker-busy", "the page space is tracked already");
	return ferry_fail(e, errno, "no-userfaultfd", "userfaultfd register: %s", strerror(errno));
}

// The one kept from the last tracker, of which a part may have been ended, or a new one.
static int registration(struct tracker *t, struct ferry_error *e)
{
	int rc = 0;

	t->uffd = page_space_take_registration(t->space);
	t->took = true;
	if (t->uffd < 0)
		rc = open_userfaultfd(t, e);
	return rc ? rc : register_space(t, e);
}

static int wp_open(struct page_space *s, struct tracker **ret, struct ferry_error *e)
{
	struct tracker *t = calloc(1, sizeof(*t));
	int rc;

	if (!t)
		return ferry_fail(e, ENOMEM, "no-memory", "tracker: out of memory");
	*t = (struct tracker){ .space = s, .uffd = -1, .pagemap = -1 };
	t->regions = malloc(REGIONS * sizeof(*t->regions));
	t->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (!t->regions || t->pagemap < 0)
		rc = ferry_fail(e, t->regions ? errno : ENOMEM, "no-pagemap",
			"/proc/self/pagemap: %s", strerror(t->regions ? errno : ENOMEM));
	else
		rc = registration(t, e);
	if (rc) {
		wp_close(t);
		return rc;
	}
	*ret = t;
	return 0;
}

static struct page_run run_of(const struct tracker *t, const struct page_region *r)
{
	uint64_t base = (uintptr_t)page_space_base(t->space);

	return (struct page_run){ (r->start - base) / PAGE_BYTES,
		(r->end - r->start) / PAGE_BYTES };
}

// One call from arg->start on, which goes on to where it ended. The regions found are noted, and
// counted.
static long scan_some(
	struct tracker *t, struct pm_scan_arg *arg, struct bitmap *dirty, struct ferry_error *e)
{
	const struct page_region *found = (const struct page_region *)(uintptr_t)arg->vec;
	long n = ioctl(t->pagemap, PAGEMAP_SCAN, arg);

	if (n < 0 && errno == EINTR) // the process is being killed
		return 0;
	if (n < 0)
		return ferry_fail(e, errno, "no-pagemap-scan", "PAGEMAP_SCAN: %s", strerror(errno));
	for (long i = 0; dirty && i < n; i++)
		bitmap_set(dirty, run_of(t, &found[i]));
	arg->start = arg->walk_end;
	return n;
}

// The masks ask for PAGE_IS_WRITTEN and nothing else on purpose: the kernel's walk for exactly that
// counts an empty page-table entry without a marker as written, so that a page that was written and
// whose entry was then dropped (reclaim, MADV_DONTNEED) is not lost. The probe checks it.
static int scan_range(struct tracker *t, struct page_run run, bool rearm, struct bitmap *dirty,
	struct ferry_error *e)
{
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.flags = rearm ? PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC : 0,
		.start = (uintptr_t)page_space_at(t->space, run.first),
		.end = (uintptr_t)page_space_at(t->space, page_run_end(run)),
		.vec = dirty ? (uintptr_t)t->regions : 0,
		.vec_len = dirty ? REGIONS : 0,
		.category_mask = PAGE_IS_WRITTEN,
		.return_mask = PAGE_IS_WRITTEN,
	};

	while (arg.start < arg.end) {
		long n = scan_some(t, &arg, dirty, e);
		if (n < 0)
			return (int)n;
	}
	return 0;
}

// Scans it in halves of huge pages, each of which the kernel must split to arm only that.
static int split(
	struct tracker *t, struct page_run run, struct bitmap *dirty, struct ferry_error *e)
{
	const uint64_t half = HUGE_PAGES / 2;
	uint64_t end;
	int rc = 0;

	for (uint64_t p = run.first; !rc && p < page_run_end(run); p = end) {
		end = (p / half + 1) * half;
		if (end > page_run_end(run))
			end = page_run_end(run);
		rc = scan_range(t, (struct page_run){ p, end - p }, true, dirty, e);
	}
	return rc;
}

// Huge pages that were written. What the scans of their halves say is not relied on: a page that is just
// being split may be in no entry at all.
static int split_written(
	struct tracker *t, struct page_run run, struct bitmap *dirty, struct ferry_error *e)
{
	struct page_region found[HUGE_REGIONS];
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.start = (uintptr_t)page_space_at(t->space, run.first),
		.end = (uintptr_t)page_space_at(t->space, page_run_end(run)),
		.vec = (uintptr_t)found,
		.vec_len = HUGE_REGIONS,
		.category_mask = PAGE_IS_WRITTEN | PAGE_IS_HUGE,
		.return_mask = PAGE_IS_WRITTEN | PAGE_IS_HUGE,
	};
	int rc = 0;

	while (!rc && arg.start < arg.end) {
		long n = scan_some(t, &arg, dirty, e);
		if (n < 0)
			return (int)n;
		for (long i = 0; !rc && i < n; i++)
			rc = split(t, run_of(t, &found[i]), dirty, e);
	}
	return rc;
}

static int scan_one(struct tracker *t, struct page_run run, bool rearm, struct bitmap *dirty,
	struct ferry_error *e)
{
	int rc = rearm && dirty ? split_written(t, run, dirty, e) : 0;

	return rc ? rc : scan_range(t, run, rearm, dirty, e);
}

static int scan_extents(struct tracker *t, bool rearm, struct bitmap *dirty, struct ferry_error *e)
{
	struct page_run range = { 0 }, next;
	int rc = 0;

	for (uint64_t p = 0; !rc && page_space_next(t->space, p, &next); p = page_run_end(next)) {
		if (range.count && next.first - page_run_end(range) < GAP_PAGES) {
			range.count = page_run_end(next) - range.first;
			continue;
		}
		if (range.count)
			rc = scan_one(t, range, rearm, dirty, e);
		range = next;
	}
	if (!rc && range.count)
		rc = scan_one(t, range, rearm, dirty, e);
	return rc;
}

// Entries that do not exist yet need no arming: a write makes them, unprotected, and is so seen.
static int wp_arm(struct tracker *t, struct ferry_error *e)
{
	return scan_extents(t, true, NULL, e);
}

static int wp_scan(struct tracker *t, bool rearm, struct bitmap *dirty, struct ferry_error *e)
{
	return scan_extents(t, rearm, dirty, e);
}

enum { PROBE_PAGES = 8 };

static int probe_fail(struct ferry_error *e, const char *what)
{
	return ferry_fail(e, ENOTSUP, "tracker-unreliable", "write tracking %s", what);
}

// A write by the kernel into our memory: read(2) from a pipe.
static int kernel_write(void *to)
{
	_cleanup_fd_ int r = -1;
	_cleanup_fd_ int w = -1;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	r = fds[0];
	w = fds[1];
	return write(w, "x", 1) == 1 && read(r, to, 1) == 1 ? 0 : -EIO;
}

// Whether a scan names exactly the pages of `expect` (bit i: page i).
static int probe_scan(struct tracker *t, struct page_run run, unsigned expect, const char *what,
	struct ferry_error *e)
{
	struct bitmap dirty;
	unsigned seen = 0;
	int rc = bitmap_init(&dirty, page_space_pages(t->space));

	if (rc)
		return ferry_fail(e, rc, "no-memory", "tracker probe: out of memory");
	rc = wp_scan(t, true, &dirty, e);
	for (unsigned i = 0; i < PROBE_PAGES; i++)
		seen |= (unsigned)bitmap_test(&dirty, run.first + i) << i;
	bitmap_destroy(&dirty);
	if (!rc && seen != expect)
		rc = probe_fail(e, what);
	return rc;
}

// Of pages that are all armed.
static int probe_writes(struct tracker *t, struct page_run run, struct ferry_error *e)
{
	uint8_t *p = page_space_at(t->space, run.first);
	int rc;

	p[PAGE_BYTES] = 2;
	if (kernel_write(p + 3 * PAGE_BYTES))
		return probe_fail(e, "stops the kernel's own writes");
	rc = probe_scan(t, run, 1u << 1 | 1u << 3, "misses a write", e);
	if (rc)
		return rc;
	p[5 * PAGE_BYTES] = 2;
	madvise(p, PROBE_PAGES * PAGE_BYTES, MADV_DONTNEED); // drops the entries, not the bytes
	rc = probe_scan(t, run, 1u << 5, "forgets a page whose table entry was dropped", e);
	if (rc)
		return rc;
	p[6 * PAGE_BYTES] = 2;
	madvise(p + 6 * PAGE_BYTES, PAGE_BYTES, MADV_REMOVE);
	p[6 * PAGE_BYTES] = 3;
	return probe_scan(t, run, 1u << 6, "misses a write after a free", e);
}

static int probe_steps(struct tracker *t, struct page_run run, struct ferry_error *e)
{
	int rc;

	memset(page_space_at(t->space, run.first), 1, PROBE_PAGES * PAGE_BYTES);
	rc = wp_arm(t, e);
	if (!rc)
		rc = probe_scan(t, run, 0, "names pages that nobody wrote", e);
	return rc ? rc : probe_writes(t, run, e);
}

// The same pages of a huge page, which has been merged, and which the first scan must split.
static int probe_huge_steps(struct tracker *t, struct page_run run, struct ferry_error *e)
{
	uint8_t *p = page_space_at(t->space, run.first);
	int rc = wp_arm(t, e);

	if (!rc)
		rc = probe_scan(t, run, 0, "names a huge page that nobody wrote", e);
	if (rc)
		return rc;
	p[HUGE_BYTES - 1] = 2;
	rc = probe_scan(t, run, (1u << PROBE_PAGES) - 1, "misses a write to a huge page", e);
	return rc ? rc : probe_writes(t, run, e);
}

typedef int (*probe_fn)(struct tracker *t, struct page_run run, struct ferry_error *e);

static int probe(uint64_t bytes, bool huge, probe_fn steps, struct ferry_error *e)
{
	struct page_space *s = NULL;
	struct tracker *t = NULL;
	struct page_run run = { 0 };
	int rc = page_space_new(bytes, &s, e);

	if (!rc)
		rc = page_space_alloc(s, bytes, &run, e);
	if (!rc && huge) {
		memset(page_space_at(s, run.first), 1, bytes);
		if (page_huge_merge_patiently(s, run.first) != 1)
			rc = probe_fail(e, "cannot be tried on a huge page");
	}
	if (!rc)
		rc = wp_open(s, &t, e);
	if (!rc)
		rc = steps(t, run, e);
	wp_close(t);
	page_space_close(s);
	return rc;
}

static int wp_probe(struct ferry_error *e)
{
	return probe(PROBE_PAGES * PAGE_BYTES, false, probe_steps, e);
}

static int wp_probe_huge(struct ferry_error *e)
{
	return probe(HUGE_BYTES, true, probe_huge_steps, e);
}

const struct tracker_ops tracker_wp = {
	.name = "wp",
	.exact = true,
	.probe = wp_probe,
	.probe_huge = wp_probe_huge,
	.open = wp_open,
	.arm = wp_arm,
	.scan = wp_scan,
	.close = wp_close,
};
