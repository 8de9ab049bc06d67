// SPDX-License-Identifier: Apache-2.0
// Tracking by reading: every page with memory behind it is a candidate in every round. The mover
// copies it, digests the copy, and sends it when that is not the digest of what it sent last; so a
// page that changed and changed back between two looks is judged by the bytes that really went out.
#include "pages/tracker.h"

#include <errno.h>
#include <stdlib.h>

struct tracker {
	struct page_space *space;
};

static int digest_probe(struct ferry_error *e)
{
	(void)e;
	return 0;
}

static int digest_open(struct page_space *s, struct tracker **ret, struct ferry_error *e)
{
	struct tracker *t = calloc(1, sizeof(*t));

	if (!t)
		return ferry_fail(e, ENOMEM, "no-memory", "tracker: out of memory");
	t->space = s;
	*ret = t;
	return 0;
}

// Nothing to arm: what is read from now on is compared.
static int digest_arm(struct tracker *t, struct ferry_error *e)
{
	(void)t;
	(void)e;
	return 0;
}

static void note_data(const struct page_space *s, struct page_run left, struct bitmap *dirty)
{
	struct page_run data;

	while (left.count && page_space_next_data(s, left, &data)) {
		bitmap_set(dirty, data);
		left.count = page_run_end(left) - page_run_end(data);
		left.first = page_run_end(data);
	}
}

static int digest_scan(struct tracker *t, bool rearm, struct bitmap *dirty, struct ferry_error *e)
{
	struct page_run run;

	(void)rearm;
	(void)e;
	for (uint64_t p = 0; page_space_next(t->space, p, &run); p = page_run_end(run))
		note_data(t->space, run, dirty);
	return 0;
}

static void digest_close(struct tracker *t)
{
	free(t);
}

const struct tracker_ops tracker_digest = {
	.name = "digest",
	.exact = false,
	.probe = digest_probe,
	.open = digest_open,
	.arm = digest_arm,
	.scan = digest_scan,
	.close = digest_close,
};
