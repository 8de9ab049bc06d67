// SPDX-License-Identifier: Apache-2.0
#include "relay/pair.h"
#include "base/clock.h"

#include <errno.h>
#include <unistd.h>

int pair_init(struct pair *p, struct loop *l, struct pump_rate *rate,
	void (*on_closed)(void *arg, struct pair *p), void *arg)
{
	*p = (struct pair){
		.local = -1, .peer = -1, .loop = l, .on_closed = on_closed, .arg = arg
	};
	int r = pump_init(&p->out, -1, -1, rate);
	if (!r)
		r = pump_init(&p->in, -1, -1, NULL);
	if (r)
		pair_free(p);
	return r;
}

static void release(struct pair *p)
{
	p->local_watch = watch_remove(p->local_watch);
	p->peer_watch = watch_remove(p->peer_watch);
	p->timer = watch_remove(p->timer);
	if (p->local >= 0)
		close(p->local);
	if (p->peer >= 0)
		close(p->peer);
	p->local = p->peer = -1;
}

void pair_free(struct pair *p)
{
	release(p);
	pump_free(&p->out);
	pump_free(&p->in);
}

static void finish(struct pair *p, int error)
{
	if (p->closed)
		return;
	p->closed = true;
	p->error = error;
	release(p);
	p->on_closed(p->arg, p);
}

static void on_local(void *arg, int fd, uint32_t events);
static void on_peer(void *arg, int fd, uint32_t events);

// Keeps a socket watched for just what a pump could do with it. With nothing to do it is watched for
// its end alone, and that only while `mute` is not set: an end that cannot be acted on yet would be
// reported again and again (epoll_ctl(2): EPOLLHUP cannot be masked).
static void watch_for(
	struct pair *p, struct watch **w, int fd, uint32_t events, bool mute, loop_fd_fn fn)
{
	if (!events && mute) {
		*w = watch_remove(*w);
		return;
	}
	if (*w)
		watch_set_events(*w, events);
	else if (!(*w = loop_fd(p->loop, fd, events, fn, p)))
		finish(p, -ENOMEM);
}

static void update(struct pair *p)
{
	int64_t now = clock_now_ns(), wait = pump_rate_until(&p->out, now);
	uint32_t local = (pump_wants_read(&p->out, now) ? EPOLLIN : 0) |
			 (pump_wants_write(&p->in) ? EPOLLOUT : 0);
	uint32_t peer = (pump_wants_read(&p->in, now) ? EPOLLIN : 0) |
			(pump_wants_write(&p->out) ? EPOLLOUT : 0);

	if (p->out.finished && p->in.finished) {
		finish(p, 0);
		return;
	}
	watch_for(p, &p->local_watch, p->local, local, !p->out.held, on_local);
	if (!p->closed)
		watch_for(p, &p->peer_watch, p->peer, peer, true, on_peer);
	if (!p->closed)
		watch_set_timer(p->timer, wait);
}

static void turn(struct pair *p, bool read_out, bool read_in)
{
	int64_t now = clock_now_ns();
	int r = read_out ? pump_read(&p->out, now) : 0;

	if (!r && read_in)
		r = pump_read(&p->in, now);
	if (!r)
		r = pump_write(&p->out);
	if (!r)
		r = pump_write(&p->in);
	if (r < 0)
		finish(p, r);
	else
		update(p);
}

static void on_local(void *arg, int fd, uint32_t events)
{
	struct pair *p = arg;

	// QEMU gave up while it was held: what it still had in the socket is worth nothing.
	if ((events & (EPOLLHUP | EPOLLERR)) && p->out.held)
		finish(p, -ECONNABORTED);
	else
		turn(p, events & (EPOLLIN | EPOLLHUP | EPOLLERR), false);
}

static void on_peer(void *arg, int fd, uint32_t events)
{
	turn(arg, false, events & (EPOLLIN | EPOLLHUP | EPOLLERR));
}

static void on_timer(void *arg)
{
	update(arg);
}

static int start(struct pair *p)
{
	if (p->local < 0 || p->peer < 0)
		return 0;
	p->out.from = p->in.to = p->local;
	p->out.to = p->in.from = p->peer;
	p->started = true;
	p->timer = loop_timer(p->loop, -1, on_timer, p);
	if (!p->timer)
		return -ENOMEM;
	update(p);
	return p->closed ? -ENOMEM : 0;
}

int pair_set_local(struct pair *p, int fd)
{
	p->local = fd;
	return start(p);
}

int pair_set_peer(struct pair *p, int fd)
{
	p->peer = fd;
	return start(p);
}

void pair_hold(struct pair *p, bool held)
{
	pump_hold(&p->out, held);
	if (p->started && !p->closed)
		update(p);
}
