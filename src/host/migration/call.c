// SPDX-License-Identifier: Apache-2.0
// Questions to QEMU, to a ferry-vgpu and to the peer. Their answers may come after the migration
// has ended: each question is a small object that then no longer knows it.
#include "host/migration/driver.h"
#include "host/migration/relay_process.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct call {
	struct migration *m; // NULL: nobody waits any more
	struct call *next;
	driver_fn fn;
};

static struct call *call_new(struct migration *m, driver_fn fn)
{
	struct call *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->m = m;
	c->fn = fn;
	c->next = m->calls;
	m->calls = c;
	return c;
}

static void call_free(struct call *c)
{
	if (c->m)
		for (struct call **p = &c->m->calls; *p; p = &(*p)->next)
			if (*p == c) {
				*p = c->next;
				break;
			}
	free(c);
}

static void answered(struct call *c, const json_t *ok, const struct ferry_error *e)
{
	struct migration *m = c->m;
	driver_fn fn = c->fn;

	call_free(c);
	if (m && fn && !m->ended)
		fn(m, ok, e);
}

void call_forget_all(struct migration *m)
{
	for (struct call *c = m->calls; c; c = c->next)
		c->m = NULL;
	m->calls = NULL;
}

static void unsent(struct migration *m, driver_fn fn, struct call *c, const char *whom, int err)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	if (c)
		call_free(c);
	ferry_fail(&e, err, "not-connected", "no control connection to %s", whom);
	if (fn)
		fn(m, NULL, &e);
}

static void on_qmp(void *arg, const json_t *ret, const struct ferry_error *e)
{
	answered(arg, ret, e);
}

static void ask_qemu(struct migration *m, const char *command, json_t *args, int timeout_ms,
	driver_fn fn, bool oob)
{
	struct call *c = call_new(m, fn);
	struct qmp *q = m->vm ? m->vm->qmp : NULL;
	int r;

	if (!c || !q) {
		json_decref(args);
		unsent(m, fn, c, "QEMU", c ? -ENOTCONN : -ENOMEM);
		return;
	}
	r = oob ? qmp_exec_oob(q, command, args, timeout_ms, on_qmp, c)
		: qmp_exec(q, command, args, timeout_ms, on_qmp, c);
	if (r < 0)
		unsent(m, fn, c, "QEMU", r);
}

void call_qemu(struct migration *m, const char *command, json_t *args, int timeout_ms, driver_fn fn)
{
	ask_qemu(m, command, args, timeout_ms, fn, false);
}

void call_qemu_oob(
	struct migration *m, const char *command, json_t *args, int timeout_ms, driver_fn fn)
{
	ask_qemu(m, command, args, timeout_ms, fn, true);
}

static void on_link(void *arg, json_t *ok, const struct ferry_error *e, int *fds, size_t n_fds)
{
	for (size_t i = 0; i < n_fds; i++)
		close(fds[i]);
	answered(arg, ok, e);
}

void call_link(struct migration *m, struct link *k, const char *op, json_t *args, const int *fds,
	size_t n_fds, driver_fn fn)
{
	struct call *c = call_new(m, fn);
	int r;

	if (!c || !k) {
		json_decref(args);
		unsent(m, fn, c, op, c ? -ENOTCONN : -ENOMEM);
		return;
	}
	r = link_request(k, op, args, fds, n_fds, on_link, c);
	if (r < 0)
		unsent(m, fn, c, op, r);
}

void call_gpu(struct migration *m, const char *op, json_t *args, const int *fds, size_t n_fds,
	driver_fn fn)
{
	call_link(m, m->vm ? m->vm->vgpus[0].link : NULL, op, args, fds, n_fds, fn);
}

void call_peer(struct migration *m, const char *op, json_t *args, driver_fn fn)
{
	call_link(m, m->peer && m->peer_ready ? peer_link(m->peer) : NULL, op, args, NULL, 0, fn);
}

void call_relay_attach(struct migration *m, driver_fn fn)
{
	struct link *k = relay_link(m->relay);

	if (!k || m->ram_fd < 0)
		return;
	call_link(m, k, "attach", NULL, &m->ram_fd, 1, fn);
	close(m->ram_fd);
	m->ram_fd = -1;
}
