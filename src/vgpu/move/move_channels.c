// SPDX-License-Identifier: Apache-2.0
#include "vgpu/move/move_channels.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include "base/log.h"

static void close_from(const int *fds, size_t from, size_t n)
{
	for (size_t i = from; i < n; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static int open_one(struct move_channels *c, int fd, struct ferry_error *e)
{
	struct channel *ch;
	char name[32];
	int rc = channel_socket_new(fd, &ch, e);

	if (!rc && c->rate)
		rc = channel_rate_new(ch, c->rate, &ch, e);
	snprintf(name, sizeof(name), "data channel %zu", c->n);
	if (!rc && log_enabled(LOG_LEVEL_DEBUG))
		rc = channel_trace_new(ch, name, &ch, e);
	if (!rc)
		c->at[c->n++] = ch;
	return rc;
}

int move_channels_open(struct move_channels *c, const int *fds, size_t n, uint64_t bandwidth,
	struct ferry_error *e)
{
	int rc = 0;

	*c = (struct move_channels){ 0 };
	if (!n || n > MOVE_MAX_CHANNELS) {
		close_from(fds, 0, n);
		return ferry_fail(e, EINVAL, "bad-channels", "%zu data channels: 1 to %d are legal",
			n, MOVE_MAX_CHANNELS);
	}
	if (bandwidth) {
		c->rate = rate_new(bandwidth);
		if (!c->rate) {
			close_from(fds, 0, n);
			return ferry_fail(e, ENOMEM, "no-memory", "channels: out of memory");
		}
	}
	for (size_t i = 0; i < n && !rc; i++) {
		rc = open_one(c, fds[i], e);
		if (rc)
			close_from(fds, i + 1, n);
	}
	if (rc)
		move_channels_close(c);
	return rc;
}

void move_channels_wake(struct move_channels *c)
{
	for (size_t i = 0; i < c->n; i++)
		channel_wake(c->at[i]);
}

void move_channels_close(struct move_channels *c)
{
	for (size_t i = 0; i < c->n; i++)
		channel_close(c->at[i]);
	rate_free(c->rate);
	*c = (struct move_channels){ 0 };
}
