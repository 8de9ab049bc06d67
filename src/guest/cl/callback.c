// SPDX-License-Identifier: Apache-2.0
#include "guest/cl/callback.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include "guest/cl/object.h"
#include "guest/stream/session.h"

struct callbacks {
	struct callback *first;
	struct callback **end;
};

static struct callbacks queued = { .end = &queued.first };
static struct callbacks deferred = { .end = &deferred.first };
static unsigned expected; // registered, not yet queued
static bool started;

struct callback *callback_new(void (*invoke)(const struct callback *c), void (*fn)(void),
	void *object, cl_int status, void *user_data)
{
	struct callback *c = malloc(sizeof *c);

	if (c)
		*c = (struct callback){ NULL, invoke, fn, object, status, user_data };
	return c;
}

static void append(struct callbacks *list, struct callback *c)
{
	c->next = NULL;
	*list->end = c;
	list->end = &c->next;
}

static struct callback *take(struct callbacks *list)
{
	struct callback *c = list->first;

	if (c)
		list->first = c->next;
	if (!list->first)
		list->end = &list->first;
	return c;
}

static void run_queued(struct callback *c)
{
	pthread_mutex_unlock(&session.lock);
	c->invoke(c);
	pthread_mutex_lock(&session.lock);
	object_unref(c->object);
	free(c);
	callbacks_run_deferred();
}

static void *callback_thread(void *unused)
{
	pthread_mutex_lock(&session.lock);
	for (;;) {
		struct callback *c = take(&queued);
		if (c) {
			run_queued(c);
		} else if (expected && !session.leading && !session.lost) {
			session_lead();
		} else {
			session.sleepers++;
			pthread_cond_wait(&session.changed, &session.lock);
			session.sleepers--;
		}
	}
	return NULL;
}

// The program's signals are for its own threads.
static bool start_thread(void)
{
	sigset_t all, before;
	pthread_t thread;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	started = pthread_create(&thread, NULL, callback_thread, NULL) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (started)
		pthread_detach(thread);
	return started;
}

bool callback_expect(void)
{
	if (!started && !start_thread())
		return false;
	expected++;
	session_changed();
	return true;
}

void callback_queue(struct callback *c)
{
	expected--;
	append(&queued, c);
	session_changed();
}

void callback_defer(struct callback *c)
{
	append(&deferred, c);
}

cl_int callback_push(struct callback **list, void (*invoke)(const struct callback *c),
	void (*fn)(void), void *object, void *user_data)
{
	if (!fn)
		return CL_INVALID_VALUE;
	struct callback *c = callback_new(invoke, fn, object, 0, user_data);
	if (!c)
		return CL_OUT_OF_HOST_MEMORY;
	c->next = *list;
	*list = c;
	return CL_SUCCESS;
}

void callbacks_defer(struct callback **list)
{
	struct callback *c;

	while ((c = *list)) {
		*list = c->next;
		callback_defer(c);
	}
}

void callbacks_run_deferred(void)
{
	struct callback *c;

	while ((c = take(&deferred))) {
		pthread_mutex_unlock(&session.lock);
		c->invoke(c);
		free(c);
		pthread_mutex_lock(&session.lock);
	}
}

void callbacks_forget_thread(void)
{
	started = false;
	expected = 0;
}
