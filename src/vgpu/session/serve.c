// SPDX-License-Identifier: Apache-2.0
#include "vgpu/session/serve.h"
#include "vgpu/session/port.h"

#include "base/log.h"
#include "base/socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct serve {
	struct vgpu *v;
	int fd;
	struct watch *watch;
	char *path;
};

static void on_connection(void *arg, int fd, uint32_t events)
{
	struct serve *s = arg;
	struct ferry_error e = FERRY_ERROR_INIT;
	struct port *port;
	int got = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	if (got < 0)
		return;
	if (port_new(s->v, 0, got, -1, &port, &e) < 0)
		log_warn("%s", e.message);
}

int serve_new(struct vgpu *v, int fd, const char *path, struct serve **ret, struct ferry_error *e)
{
	struct serve *s = calloc(1, sizeof *s);

	if (!s) {
		close(fd);
		return ferry_fail(e, ENOMEM, "no-memory", "no memory to serve %s", path);
	}
	*s = (struct serve){ .v = v, .fd = fd, .path = strdup(path) };
	if (listen(fd, UNIX_BACKLOG) == 0)
		s->watch = loop_fd(v->loop, fd, EPOLLIN, on_connection, s);
	if (!s->path || !s->watch) {
		serve_free(s);
		return ferry_fail(e, ENOMEM, "no-memory", "%s cannot be served", path);
	}
	*ret = s;
	return 0;
}

struct serve *serve_free(struct serve *s)
{
	if (!s)
		return NULL;
	watch_remove(s->watch);
	close(s->fd);
	if (s->path)
		unlink(s->path);
	free(s->path);
	free(s);
	return NULL;
}
