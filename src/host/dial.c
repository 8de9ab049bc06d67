// SPDX-License-Identifier: Apache-2.0
#include "host/dial.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/socket.h"
#include "host/host.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

struct dial {
	struct host *host;
	int fd;
	struct watch *watch, *timer;
	struct preface preface;
	char name[HOST_NAME_MAX_BYTES + 1];
	char address[ADDRESS_MAX_BYTES + 1];
	struct ferry_error why; // of a failure that the timer reports
	peer_channel_fn fn;
	void *arg;
};

struct dial *dial_free(struct dial *d)
{
	if (!d)
		return NULL;
	watch_remove(d->watch);
	watch_remove(d->timer);
	if (d->fd >= 0)
		close(d->fd);
	free(d);
	return NULL;
}

static void finish(struct dial *d, int fd, const struct ferry_error *e)
{
	struct ferry_error why = e ? *e : FERRY_ERROR_INIT;
	peer_channel_fn fn = d->fn;
	void *arg = d->arg;

	if (e && !why.remedies[0][0])
		ferry_error_remedy(
			&why, "check that ferryd runs on host %s and that the link is up", d->name);
	dial_free(d);
	fn(arg, fd, e ? &why : NULL);
}

static void on_time(void *arg)
{
	struct dial *d = arg;
	struct ferry_error e = d->why;

	if (!e.err)
		ferry_fail(&e, ETIMEDOUT, "peer-unreachable", "host %s at %s does not answer",
			d->name, d->address);
	finish(d, -1, &e);
}

static void on_connected(void *arg, int fd, uint32_t events)
{
	struct dial *d = arg;
	struct ferry_error e = FERRY_ERROR_INIT;
	uint8_t bytes[PREFACE_BYTES];

	d->watch = watch_remove(d->watch);
	int r = tcp_connect_end(fd, d->address, &e);
	preface_encode(&d->preface, bytes);
	// A fresh connection's buffer takes 64 bytes.
	if (r == 0 && send(fd, bytes, sizeof bytes, MSG_NOSIGNAL) != sizeof bytes)
		r = ferry_fail(&e, errno, "peer-unreachable", "host %s hung up: %m", d->name);
	if (r < 0) {
		finish(d, -1, &e);
		return;
	}
	fd_set_nonblocking(fd, 0);
	d->fd = -1;
	finish(d, fd, NULL);
}

static int begin(struct dial *d, struct ferry_error *e)
{
	const char *address = config_peer_address(&d->host->config, d->name);

	if (!address) {
		int r = ferry_fail(e, ENOENT, "peer-unknown", "there is no host '%s'", d->name);
		ferry_error_remedy(e, "add it to \"peers\" in ferryd's configuration");
		return r;
	}
	snprintf(d->address, sizeof d->address, "%s", address);
	d->fd = tcp_connect_begin(address, e);
	if (d->fd < 0)
		return d->fd;
	d->watch = loop_fd(d->host->loop, d->fd, EPOLLOUT, on_connected, d);
	return d->watch ? 0 : ferry_fail(e, ENOMEM, "no-memory", "no memory to connect");
}

struct dial *dial_new(struct host *h, const char *name, const struct preface *p, int timeout_ms,
	peer_channel_fn fn, void *arg)
{
	struct dial *d = calloc(1, sizeof *d);

	if (!d)
		return NULL;
	*d = (struct dial){ .host = h, .fd = -1, .preface = *p, .fn = fn, .arg = arg };
	snprintf(d->name, sizeof d->name, "%s", name);
	int64_t at = clock_now_ns();
	if (begin(d, &d->why) == 0)
		at += timeout_ms * NSEC_PER_MSEC;
	d->timer = loop_timer(h->loop, at, on_time, d);
	return d->timer ? d : dial_free(d);
}

int peer_channel(struct host *h, const char *name, const struct preface *p, int timeout_ms,
	peer_channel_fn fn, void *arg)
{
	return dial_new(h, name, p, timeout_ms, fn, arg) ? 0 : -ENOMEM;
}
