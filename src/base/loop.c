// SPDX-License-Identifier: Apache-2.0
#include "base/loop.h"
#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum watch_kind { WATCH_FD, WATCH_TIMER, WATCH_PROCESS, WATCH_SIGNAL, WATCH_WAKER };

struct watch {
	struct loop *loop;
	struct watch *next;
	enum watch_kind kind;
	bool removed;  // freed after the batch
	int fd;        // watched; owned unless kind is WATCH_FD; -1 for timers
	int64_t at_ns; // timers; -1 when unarmed
	pid_t pid;
	union {
		loop_fd_fn fd;
		loop_fn plain;
		loop_exit_fn exit;
		loop_signal_fn signal;
	} fn;
	void *arg;
};

struct loop {
	int epfd;
	struct watch *watches;
	bool stopping;
	bool sweep; // some watch is marked removed
};

struct loop *loop_new(void)
{
	struct loop *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	l->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epfd < 0) {
		free(l);
		return NULL;
	}
	return l;
}

static void sweep(struct loop *l, bool all)
{
	struct watch **p = &l->watches;

	while (*p) {
		struct watch *w = *p;
		if (!all && !w->removed) {
			p = &w->next;
			continue;
		}
		*p = w->next;
		if (!w->removed)
			watch_remove(w);
		free(w);
	}
	l->sweep = false;
}

struct loop *loop_free(struct loop *l)
{
	if (!l)
		return NULL;
	sweep(l, true);
	close(l->epfd);
	free(l);
	return NULL;
}

static struct watch *add(struct loop *l, enum watch_kind kind, int fd, uint32_t events, void *arg)
{
	struct watch *w = calloc(1, sizeof *w);
	struct epoll_event ev = { .events = events, .data.ptr = w };

	if (!w)
		return NULL;
	*w = (struct watch){ .loop = l, .kind = kind, .fd = fd, .at_ns = -1, .arg = arg };
	if (fd >= 0 && epoll_ctl(l->epfd, EPOLL_CTL_ADD, fd, &ev) < 0) {
		free(w);
		return NULL;
	}
	w->next = l->watches;
	l->watches = w;
	return w;
}

struct watch *loop_fd(struct loop *l, int fd, uint32_t events, loop_fd_fn fn, void *arg)
{
	struct watch *w = add(l, WATCH_FD, fd, events, arg);

	if (w)
		w->fn.fd = fn;
	return w;
}

int watch_set_events(struct watch *w, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = w };

	return epoll_ctl(w->loop->epfd, EPOLL_CTL_MOD, w->fd, &ev) < 0 ? -errno : 0;
}

struct watch *loop_timer(struct loop *l, int64_t at_ns, loop_fn fn, void *arg)
{
	struct watch *w = add(l, WATCH_TIMER, -1, 0, arg);

	if (w) {
		w->fn.plain = fn;
		w->at_ns = at_ns;
	}
	return w;
}

void watch_set_timer(struct watch *w, int64_t at_ns)
{
	w->at_ns = at_ns;
}

// Adds a watch on a descriptor that the watch owns.
static struct watch *add_owned(struct loop *l, enum watch_kind kind, int fd, void *arg)
{
	if (fd < 0)
		return NULL;
	struct watch *w = add(l, kind, fd, EPOLLIN, arg);
	if (!w)
		close(fd);
	return w;
}

struct watch *loop_process(struct loop *l, pid_t pid, loop_exit_fn fn, void *arg)
{
	struct watch *w = add_owned(l, WATCH_PROCESS, (int)syscall(SYS_pidfd_open, pid, 0), arg);

	if (w) {
		w->fn.exit = fn;
		w->pid = pid;
	}
	return w;
}

struct watch *loop_signal(struct loop *l, int signo, loop_signal_fn fn, void *arg)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signo);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return NULL;
	struct watch *w =
		add_owned(l, WATCH_SIGNAL, signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), arg);
	if (w)
		w->fn.signal = fn;
	return w;
}

struct watch *loop_waker(struct loop *l, loop_fn fn, void *arg)
{
	struct watch *w = add_owned(l, WATCH_WAKER, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), arg);

	if (w)
		w->fn.plain = fn;
	return w;
}

void loop_wake(struct watch *w)
{
	uint64_t one = 1;

	if (write(w->fd, &one, sizeof one) < 0)
		return; // EAGAIN: it is already awake
}

struct watch *watch_remove(struct watch *w)
{
	if (!w || w->removed)
		return NULL;
	w->removed = true;
	w->loop->sweep = true;
	if (w->fd >= 0) {
		epoll_ctl(w->loop->epfd, EPOLL_CTL_DEL, w->fd, NULL);
		if (w->kind != WATCH_FD)
			close(w->fd);
		w->fd = -1;
	}
	return NULL;
}

static void on_process(struct watch *w)
{
	int status = -1;

	if (waitpid(w->pid, &status, WNOHANG) != w->pid)
		status = -1;
	epoll_ctl(w->loop->epfd, EPOLL_CTL_DEL, w->fd, NULL); // a pidfd stays readable for ever
	w->fn.exit(w->arg, w->pid, status);
}

static void on_signal(struct watch *w)
{
	struct signalfd_siginfo info;

	while (!w->removed && read(w->fd, &info, sizeof info) == sizeof info)
		w->fn.signal(w->arg, (int)info.ssi_signo);
}

static void on_waker(struct watch *w)
{
	uint64_t count;

	if (read(w->fd, &count, sizeof count) == sizeof count)
		w->fn.plain(w->arg);
}

static void dispatch(struct watch *w, uint32_t events)
{
	switch (w->kind) {
	case WATCH_FD:
		w->fn.fd(w->arg, w->fd, events);
		return;
	case WATCH_PROCESS:
		on_process(w);
		return;
	case WATCH_SIGNAL:
		on_signal(w);
		return;
	case WATCH_WAKER:
		on_waker(w);
		return;
	case WATCH_TIMER:
		return;
	}
}

// Milliseconds until the next timer, rounded up, at most timeout_ms.
static int wait_ms(const struct loop *l, int timeout_ms)
{
	int64_t now = clock_now_ns();

	for (const struct watch *w = l->watches; w; w = w->next) {
		if (w->removed || w->at_ns < 0)
			continue;
		int64_t left = (w->at_ns - now + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC;
		if (left < 0)
			left = 0;
		if (timeout_ms < 0 || left < timeout_ms)
			timeout_ms = left > 60000 ? 60000 : (int)left;
	}
	return timeout_ms;
}

static void run_timers(struct loop *l)
{
	int64_t now = clock_now_ns();

	for (struct watch *w = l->watches; w; w = w->next) {
		if (w->removed || w->at_ns < 0 || w->at_ns > now)
			continue;
		w->at_ns = -1;
		w->fn.plain(w->arg);
	}
}

int loop_once(struct loop *l, int timeout_ms)
{
	struct epoll_event events[32];
	int n = epoll_wait(l->epfd, events, ARRAY_SIZE(events), wait_ms(l, timeout_ms));

	if (n < 0 && errno != EINTR)
		return -errno;
	for (int i = 0; i < n; i++) {
		struct watch *w = events[i].data.ptr;
		if (!w->removed)
			dispatch(w, events[i].events);
	}
	run_timers(l);
	if (l->sweep)
		sweep(l, false);
	return 0;
}

int loop_run(struct loop *l)
{
	int r = 0;

	l->stopping = false;
	while (!l->stopping && r == 0)
		r = loop_once(l, -1);
	return r;
}

void loop_stop(struct loop *l)
{
	l->stopping = true;
}
