// SPDX-License-Identifier: Apache-2.0
#include "vgpu/move/move_compare.h"

static void compare_item(struct move_compare *c, struct page_work w)
{
	uint64_t n = 0;

	for (uint64_t page = w.first; page < w.first + w.count; page++) {
		struct page_digest now = { 0 };

		if (w.kind == PAGE_WORK_READ)
			now = page_digest(page_space_at(c->space, page));
		if (page_digest_equal(now, c->table->of[page]))
			continue;
		n++;
		if (c->differs)
			bitmap_set_shared(c->differs, page);
		if (c->update)
			c->table->of[page] = now;
	}
	atomic_fetch_add_explicit(&c->pages, n, memory_order_relaxed);
}

void move_compare_work(struct move_compare *c)
{
	for (;;) {
		size_t i = atomic_fetch_add_explicit(&c->next, 1, memory_order_relaxed);

		if (i >= c->plan->n ||
			(c->stop && atomic_load_explicit(c->stop, memory_order_relaxed)))
			return;
		compare_item(c, c->plan->work[i]);
	}
}
