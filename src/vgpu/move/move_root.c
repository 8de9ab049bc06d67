// SPDX-License-Identifier: Apache-2.0
#include "vgpu/move/move_root.h"

#include <errno.h>
#include <stdlib.h>
#include "base/clock.h"
#include "vgpu/move/move_pool.h"

struct move_root {
	struct page_space *space;
	move_root_fn fn;
	void *arg;
	int64_t started_ns;
	struct watch *waker;
	struct move_pool *pool;
	atomic_bool stop;
	struct digest_root root; // the thread's until the pool is idle
};

static void scan_job(void *arg, size_t i)
{
	struct move_root *m = arg;

	(void)i;
	digest_scan_root(m->space, &m->stop, &m->root);
}

static void on_wake(void *arg)
{
	struct move_root *m = arg;

	if (!move_pool_busy(m->pool))
		m->fn(m->arg, m->root, (double)(clock_now_ns() - m->started_ns) / 1e6, NULL);
}

int move_root_begin(struct loop *l, struct page_space *s, move_root_fn fn, void *arg,
	struct move_root **ret, struct ferry_error *e)
{
	struct move_root *m = calloc(1, sizeof(*m));

	if (!m)
		return ferry_fail(e, ENOMEM, "no-memory", "root: out of memory");
	*m = (struct move_root){ .space = s, .fn = fn, .arg = arg, .started_ns = clock_now_ns() };
	m->waker = loop_waker(l, on_wake, m);
	m->pool = m->waker ? move_pool_new(1, m->waker) : NULL;
	if (!m->pool) {
		move_root_end(m);
		return ferry_fail(e, EAGAIN, "no-threads", "root: cannot start a thread");
	}
	move_pool_run(m->pool, scan_job, m);
	*ret = m;
	return 0;
}

struct move_root *move_root_end(struct move_root *m)
{
	if (!m)
		return NULL;
	atomic_store(&m->stop, true);
	move_pool_free(m->pool);
	watch_remove(m->waker);
	free(m);
	return NULL;
}
