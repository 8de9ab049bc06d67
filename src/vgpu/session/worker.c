// SPDX-License-Identifier: Apache-2.0
#include "vgpu/session/worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct job {
	struct job *next;
	void (*run)(void *arg);
	void (*done)(void *arg);
	void *arg;
};

struct jobs {
	struct job *first, **end;
};

struct worker {
	pthread_t thread;
	bool started;
	struct watch *waker;
	// Shared, under the lock.
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct jobs waiting, ended;
	bool stopping;
};

static void append(struct jobs *list, struct job *j)
{
	j->next = NULL;
	*list->end = j;
	list->end = &j->next;
}

static struct job *take_first(struct jobs *list)
{
	struct job *j = list->first;

	if (j && !(list->first = j->next))
		list->end = &list->first;
	return j;
}

static struct job *locked_take(struct worker *w, struct jobs *list)
{
	pthread_mutex_lock(&w->lock);
	struct job *j = take_first(list);
	pthread_mutex_unlock(&w->lock);
	return j;
}

static void *work(void *arg)
{
	struct worker *w = arg;

	pthread_mutex_lock(&w->lock);
	while (!w->stopping) {
		struct job *j = take_first(&w->waiting);
		if (!j) {
			pthread_cond_wait(&w->changed, &w->lock);
			continue;
		}
		pthread_mutex_unlock(&w->lock);
		j->run(j->arg);
		pthread_mutex_lock(&w->lock);
		append(&w->ended, j);
		loop_wake(w->waker);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static void finish_all(struct worker *w, struct jobs *list)
{
	struct job *j;

	while ((j = locked_take(w, list)) != NULL) {
		j->done(j->arg);
		free(j);
	}
}

static void on_wake(void *arg)
{
	struct worker *w = arg;

	finish_all(w, &w->ended);
}

int worker_new(struct loop *l, struct worker **ret, struct ferry_error *e)
{
	struct worker *w = calloc(1, sizeof *w);

	if (!w)
		return ferry_fail(e, ENOMEM, "no-memory", "no memory for a worker");
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->changed, NULL);
	w->waiting.end = &w->waiting.first;
	w->ended.end = &w->ended.first;
	w->waker = loop_waker(l, on_wake, w);
	int r = w->waker ? pthread_create(&w->thread, NULL, work, w) : ENOMEM;
	if (r != 0) {
		worker_free(w);
		return ferry_fail(e, r, "no-thread", "no thread for a worker");
	}
	w->started = true;
	*ret = w;
	return 0;
}

struct worker *worker_free(struct worker *w)
{
	if (!w)
		return NULL;
	if (w->started) {
		pthread_mutex_lock(&w->lock);
		w->stopping = true;
		pthread_cond_signal(&w->changed);
		pthread_mutex_unlock(&w->lock);
		pthread_join(w->thread, NULL);
	}
	finish_all(w, &w->ended);
	finish_all(w, &w->waiting);
	watch_remove(w->waker);
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
	free(w);
	return NULL;
}

int worker_add(struct worker *w, void (*run)(void *arg), void (*done)(void *arg), void *arg)
{
	struct job *j = malloc(sizeof *j);

	if (!j)
		return -ENOMEM;
	*j = (struct job){ .run = run, .done = done, .arg = arg };
	pthread_mutex_lock(&w->lock);
	append(&w->waiting, j);
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->lock);
	return 0;
}
