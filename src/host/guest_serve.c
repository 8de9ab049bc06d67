// SPDX-License-Identifier: Apache-2.0
#include "host/guest_serve.h"
#include "host/host.h"
#include "host/peer.h"
#include "host/vm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_QUESTIONS 4 // open on one connection; a route has one, and one that it gave up
#define JOB_DIGITS    16

struct question {
	struct guest_server *server;
	struct vm *vm;    // NULL: a free place
	int64_t id;       // of the peer's request
	int64_t agent_id; // of ours
};

// One connection.
struct guest_server {
	struct guest_server *next;
	struct host *host;
	struct peer *peer;
	struct question questions[MAX_QUESTIONS];
};

static void refuse(struct guest_server *s, int64_t id, int err, const char *code, const char *text)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	ferry_fail(&e, err, code, "%s", text);
	link_refuse(peer_link(s->peer), id, &e);
}

static void answer_moved(struct guest_server *s, int64_t id, const struct vm *vm)
{
	link_answer(peer_link(s->peer), id, json_pack("{s:s}", "moved", vm->owner));
}

static void on_agent(void *arg, const json_t *doc, const struct ferry_error *e)
{
	struct question *q = arg;
	struct link *k = peer_link(q->server->peer);

	q->vm = NULL;
	if (e)
		link_refuse(k, q->id, e);
	else
		link_answer(k, q->id, json_pack("{s:O}", "answer", doc));
}

// ---- the request, checked ----

struct wanted {
	char vm[VM_NAME_MAX + 1], op[8], job[JOB_DIGITS + 1];
	uint64_t out, err;
};

static int read_wanted(const json_t *args, struct wanted *ret, struct ferry_error *e)
{
	int r = json_get_string(args, "vm", ret->vm, sizeof ret->vm, e);

	if (r == 0)
		r = json_get_string(args, "op", ret->op, sizeof ret->op, e);
	if (r == 0)
		r = json_get_string(args, "job", ret->job, sizeof ret->job, e);
	if (r < 0)
		return r;
	bool read = !strcmp(ret->op, "read");
	if ((!read && strcmp(ret->op, "end")) || strlen(ret->job) != JOB_DIGITS ||
		strspn(ret->job, "0123456789abcdef") != JOB_DIGITS)
		return ferry_fail(e, EPROTO, "bad-message",
			"another host may read or end a program by its 16 hex digits, nothing "
			"else");
	if (read)
		r = json_get_u64(args, "out", INT64_MAX, &ret->out, e);
	if (read && r == 0)
		r = json_get_u64(args, "err", INT64_MAX, &ret->err, e);
	return r;
}

static json_t *agent_args(const struct wanted *w)
{
	if (!strcmp(w->op, "end"))
		return json_pack("{s:s}", "job", w->job);
	return json_pack("{s:s, s:I, s:I}", "job", w->job, "out", (json_int_t)w->out, "err",
		(json_int_t)w->err);
}

static struct question *free_place(struct guest_server *s)
{
	for (size_t i = 0; i < MAX_QUESTIONS; i++)
		if (!s->questions[i].vm)
			return &s->questions[i];
	return NULL;
}

static void ask_agent(struct guest_server *s, struct vm *vm, int64_t id, const struct wanted *w)
{
	struct question *q = free_place(s);

	if (!q) {
		refuse(s, id, EBUSY, "too-many", "too many questions at once on one connection");
		return;
	}
	*q = (struct question){ .server = s, .vm = vm, .id = id };
	q->agent_id = agent_request(vm->agent, w->op, agent_args(w), 0, on_agent, q);
	if (q->agent_id < 0) {
		q->vm = NULL;
		refuse(s, id, ENOMEM, "no-memory", "no memory to ask the guest's agent");
	}
}

static void serve(struct guest_server *s, int64_t id, json_t *args)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	struct wanted w = { .out = 0 };

	if (read_wanted(args, &w, &e) < 0) {
		link_refuse(peer_link(s->peer), id, &e);
		return;
	}
	struct vm *vm = vm_find(s->host, w.vm);
	if (!vm)
		refuse(s, id, ENOENT, "no-vm", "there is no such VM");
	else if (vm->state == VM_STOPPED)
		refuse(s, id, ECHILD, "vm-stopped", "the VM has stopped");
	else if (vm->state == VM_RELEASED)
		answer_moved(s, id, vm);
	else
		ask_agent(s, vm, id, &w);
}

// ---- the connection ----

static void server_free(struct guest_server *s)
{
	struct guest_server **at = &s->host->guest_servers;

	while (*at && *at != s)
		at = &(*at)->next;
	if (*at)
		*at = s->next;
	for (size_t i = 0; i < MAX_QUESTIONS; i++)
		if (s->questions[i].vm)
			agent_forget(s->questions[i].vm->agent, s->questions[i].agent_id);
	peer_free(s->peer);
	free(s);
}

static void on_request(void *arg, struct peer *p, int64_t id, const char *op, json_t *args)
{
	if (strcmp(op, "guest"))
		refuse(arg, id, EOPNOTSUPP, "unknown-op", "this connection is for guests only");
	else
		serve(arg, id, args);
}

static void on_closed(void *arg, struct peer *p, const struct ferry_error *why)
{
	server_free(arg);
}

void guest_serve(struct host *h, struct peer *p, int64_t id, json_t *args)
{
	static const struct peer_ops ops = { .request = on_request, .closed = on_closed };
	struct ferry_error e = FERRY_ERROR_INIT;
	struct guest_server *s = calloc(1, sizeof *s);

	if (!s) {
		ferry_fail(&e, ENOMEM, "no-memory", "no memory for a connection");
		link_refuse(peer_link(p), id, &e);
		return;
	}
	*s = (struct guest_server){ .host = h, .peer = p, .next = h->guest_servers };
	h->guest_servers = s;
	peer_take(p, &ops, s);
	serve(s, id, args);
}

// ---- what becomes of VMs here ----

static void end_questions(struct vm *vm, const char *code, const char *text)
{
	for (struct guest_server *s = vm->host->guest_servers; s; s = s->next)
		for (size_t i = 0; i < MAX_QUESTIONS; i++) {
			struct question *q = &s->questions[i];
			if (q->vm != vm)
				continue;
			agent_forget(vm->agent, q->agent_id);
			q->vm = NULL;
			if (vm->state == VM_RELEASED)
				answer_moved(s, q->id, vm);
			else
				refuse(s, q->id, ECHILD, code, text);
		}
}

void guest_serve_follow(struct vm *vm)
{
	if (vm->state == VM_RELEASED || vm->state == VM_STOPPED)
		end_questions(vm, "vm-stopped", "the VM has stopped");
}

void guest_serve_forget(struct vm *vm)
{
	end_questions(vm, "no-vm", "there is no such VM any more");
}

void guest_serve_close(struct host *h)
{
	while (h->guest_servers)
		server_free(h->guest_servers);
}
