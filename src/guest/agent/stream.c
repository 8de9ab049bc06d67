// SPDX-License-Identifier: Apache-2.0
#include "guest/agent/stream.h"

#include <errno.h>
#include <unistd.h>

static void close_pipe(struct stream *s)
{
	s->watch = watch_remove(s->watch);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

static void on_pipe(void *arg, int fd, uint32_t events);

// Watched only while there is something to do: a pipe's end is reported over and over otherwise.
static void watch(struct stream *s)
{
	bool wanted = s->fd >= 0 && (s->writes ? s->data.len > 0 : s->data.len < STREAM_OUT_MAX);

	if (!wanted)
		s->watch = watch_remove(s->watch);
	else if (!s->watch)
		s->watch = loop_fd(s->loop, s->fd, s->writes ? EPOLLOUT : EPOLLIN, on_pipe, s);
}

static void fill(struct stream *s)
{
	while (s->fd >= 0 && s->data.len < STREAM_OUT_MAX) {
		size_t room = STREAM_OUT_MAX - s->data.len;
		size_t want = room < 65536 ? room : 65536;
		uint8_t *at = buf_reserve(&s->data, want);
		ssize_t n = at ? read(s->fd, at, want) : -1;
		if (n > 0) {
			s->data.len += (size_t)n;
		} else if (n == 0 || !at || s->ending || (errno != EAGAIN && errno != EINTR)) {
			close_pipe(s);
		} else if (errno == EAGAIN) {
			break;
		}
	}
	watch(s);
}

static void drain(struct stream *s)
{
	while (s->fd >= 0 && s->data.len) {
		ssize_t n = write(s->fd, s->data.data, s->data.len);
		if (n > 0) {
			buf_consume(&s->data, (size_t)n);
			s->base += (uint64_t)n;
		} else if (errno == EAGAIN) {
			break;
		} else if (errno != EINTR) {
			close_pipe(s);
		}
	}
	if (s->ending && !s->data.len)
		close_pipe(s);
	watch(s);
}

static void on_pipe(void *arg, int fd, uint32_t events)
{
	struct stream *s = arg;

	if (s->writes)
		drain(s);
	else
		fill(s);
}

int stream_open(struct stream *s, struct loop *l, int fd, bool writes)
{
	*s = (struct stream){ .loop = l, .fd = fd, .writes = writes };
	watch(s);
	return fd >= 0 && !writes && !s->watch ? -ENOMEM : 0;
}

void stream_free(struct stream *s)
{
	close_pipe(s);
	buf_free(&s->data);
}

int stream_read(
	struct stream *s, uint64_t offset, size_t cap, const uint8_t **ret_at, size_t *ret_n)
{
	if (offset < s->base || offset - s->base > s->data.len)
		return -ERANGE;
	buf_consume(&s->data, (size_t)(offset - s->base));
	s->base = offset;
	fill(s);
	*ret_at = s->data.data;
	*ret_n = s->data.len < cap ? s->data.len : cap;
	return 0;
}

bool stream_ended(const struct stream *s)
{
	return s->fd < 0;
}

void stream_end(struct stream *s)
{
	s->ending = true;
	if (s->writes)
		close_pipe(s);
	else
		fill(s);
}

int stream_write(
	struct stream *s, uint64_t offset, const uint8_t *bytes, size_t n, uint64_t *ret_next)
{
	uint64_t next = s->base + s->data.len;

	if (offset > next)
		return -ERANGE;
	uint64_t old = next - offset; // a repeated request: these bytes are here already
	size_t fresh = old < n ? n - (size_t)old : 0, room = STREAM_IN_MAX - s->data.len;
	if (fresh && (s->fd < 0 || s->ending))
		return -EPIPE;
	if (fresh > room)
		fresh = room;
	if (fresh)
		buf_put(&s->data, bytes + old, fresh);
	*ret_next = next + fresh;
	drain(s);
	return 0;
}

void stream_write_end(struct stream *s)
{
	s->ending = true;
	drain(s);
}
