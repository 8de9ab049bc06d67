// SPDX-License-Identifier: Apache-2.0
#include "connection.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_IN (HTTP_MAX_HEAD + HTTP_MAX_BODY)

void connection_open(struct connection *c, int fd)
{
	*c = (struct connection){ .fd = fd };
}

void connection_close(struct connection *c)
{
	if (c->fd >= 0)
		close(c->fd);
	bytes_free(&c->in);
	bytes_free(&c->out);
	*c = (struct connection){ .fd = -1 };
}

int connection_read(struct connection *c)
{
	char piece[16384];
	size_t room = c->in.len < MAX_IN ? MAX_IN - c->in.len : 0;
	ssize_t n;

	if (!room)
		return 0;
	n = recv(c->fd, piece, room < sizeof piece ? room : sizeof piece, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		c->ended = true;
	bytes_add(&c->in, piece, (size_t)n);
	return c->in.failed ? -ENOMEM : 0;
}

int connection_write(struct connection *c)
{
	while (c->out.len) {
		ssize_t n = send(c->fd, c->out.data, c->out.len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		bytes_drop(&c->out, (size_t)n);
	}
	return c->out.failed ? -ENOMEM : 0;
}

static void add_connection_header(struct connection *c)
{
	bytes_print(&c->out, "Connection: %s\r\n\r\n", c->keep_alive ? "keep-alive" : "close");
	if (!c->keep_alive)
		c->close_after = true;
}

void connection_reply(
	struct connection *c, int status, const char *type, const void *body, size_t len)
{
	bytes_print(&c->out, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n",
		status, http_reason(status), type, len);
	add_connection_header(c);
	bytes_add(&c->out, body, len);
}

// An HTTP/1.0 client gets no chunks: the end of the connection is the end of the stream.
void connection_stream(struct connection *c, const char *type)
{
	bytes_print(&c->out, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nCache-Control: no-cache\r\n",
		type);
	if (c->chunks)
		bytes_print(&c->out, "Transfer-Encoding: chunked\r\n");
	else
		c->keep_alive = false;
	add_connection_header(c);
	c->close_after = false; // not before the end of the stream
}

void connection_piece(struct connection *c, const void *data, size_t len)
{
	if (c->chunks)
		bytes_print(&c->out, "%zx\r\n", len);
	bytes_add(&c->out, data, len);
	if (c->chunks)
		bytes_add(&c->out, "\r\n", 2);
}

void connection_stream_end(struct connection *c)
{
	if (c->chunks)
		bytes_add(&c->out, "0\r\n\r\n", 5);
	c->close_after = !c->keep_alive;
}
