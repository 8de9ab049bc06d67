// SPDX-License-Identifier: Apache-2.0
#include "vgpu/move/move_pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>

struct pool_thread {
	pthread_t id;
	struct move_pool *pool;
	size_t i;
};

struct move_pool {
	struct watch *waker;   // read only
	pthread_mutex_t lock;  // of all below; no other lock is taken under it
	pthread_cond_t starts; // job changed, or quit
	move_pool_fn fn;
	void *arg;
	uint64_t job; // grows with each
	size_t running;
	bool quit;
	// Main thread only.
	size_t n;
	struct pool_thread threads[];
};

static void *work(void *arg)
{
	struct pool_thread *t = arg;
	struct move_pool *p = t->pool;
	uint64_t seen = 0;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		move_pool_fn fn;
		void *fn_arg;

		while (p->job == seen && !p->quit)
			pthread_cond_wait(&p->starts, &p->lock);
		if (p->job == seen)
			break;
		seen = p->job;
		fn = p->fn;
		fn_arg = p->arg;
		pthread_mutex_unlock(&p->lock);
		fn(fn_arg, t->i);
		pthread_mutex_lock(&p->lock);
		if (!--p->running && p->waker)
			loop_wake(p->waker);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

// Signals are the main thread's: these threads start with all of them blocked.
static int start_thread(struct pool_thread *t)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&t->id, NULL, work, t);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -rc;
}

struct move_pool *move_pool_new(size_t threads, struct watch *waker)
{
	struct move_pool *p = calloc(1, sizeof(*p) + threads * sizeof(p->threads[0]));

	if (!p)
		return NULL;
	p->waker = waker;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->starts, NULL);
	for (size_t i = 0; i < threads; i++) {
		p->threads[i] = (struct pool_thread){ .pool = p, .i = i };
		if (start_thread(&p->threads[i]))
			return move_pool_free(p);
		p->n++;
	}
	return p;
}

void move_pool_run(struct move_pool *p, move_pool_fn fn, void *arg)
{
	pthread_mutex_lock(&p->lock);
	p->fn = fn;
	p->arg = arg;
	p->running = p->n;
	p->job++;
	pthread_cond_broadcast(&p->starts);
	pthread_mutex_unlock(&p->lock);
}

bool move_pool_busy(struct move_pool *p)
{
	bool busy;

	pthread_mutex_lock(&p->lock);
	busy = p->running > 0;
	pthread_mutex_unlock(&p->lock);
	return busy;
}

struct move_pool *move_pool_free(struct move_pool *p)
{
	if (!p)
		return NULL;
	pthread_mutex_lock(&p->lock);
	p->quit = true;
	pthread_cond_broadcast(&p->starts);
	pthread_mutex_unlock(&p->lock);
	for (size_t i = 0; i < p->n; i++)
		pthread_join(p->threads[i].id, NULL);
	pthread_cond_destroy(&p->starts);
	pthread_mutex_destroy(&p->lock);
	free(p);
	return NULL;
}
