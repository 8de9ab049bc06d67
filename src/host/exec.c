// SPDX-License-Identifier: Apache-2.0
#include "host/exec.h"
#include "base/base64.h"
#include "base/cleanup.h"
#include "host/api/api.h"
#include "host/guest_route.h"
#include "host/host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct exec {
	struct exec *next;
	struct host *host;
	char vm[VM_NAME_MAX + 1];
	struct request *r;
	struct guest_route *route;
	struct agent_exec *run;
};

// From memory only; what its last request is about is still asked.
static void exec_free(struct exec *x)
{
	struct exec **at = &x->host->execs;

	while (*at && *at != x)
		at = &(*at)->next;
	if (*at)
		*at = x->next;
	guest_route_leave(x->route);
	free(x);
}

// Nobody reads any more: the program ends as with a closed terminal.
static void on_gone(void *arg)
{
	struct exec *x = arg;
	struct request *r = x->r;

	x->run = agent_exec_cancel(x->run);
	exec_free(x);
	request_end(r, json_object());
}

static void on_output(void *arg, int stream, const void *bytes, size_t n)
{
	struct exec *x = arg;
	_cleanup_free_ char *text = base64_encode_new(bytes, n);

	if (request_gone(x->r))
		on_gone(x);
	else
		request_line(x->r,
			json_pack("{s:s}", stream == 2 ? "stderr" : "stdout", text ? text : ""));
}

// The program runs on, and nobody hears it: how to hear it again.
static void tell_how_to_attach(const struct exec *x, struct ferry_error *e)
{
	static const char *const codes[] = { "agent-silent", "peer-unreachable" };
	const struct agent_job *job = agent_exec_job(x->run);

	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		if (strcmp(e->code, codes[i]))
			continue;
		memset(e->remedies, 0, sizeof e->remedies);
		ferry_error_remedy(e,
			"the program runs on there; on host %s: ferry vm exec %s --attach "
			"%s:%llu:%llu",
			guest_route_host(x->route), x->vm, job->id,
			(unsigned long long)job->taken[0], (unsigned long long)job->taken[1]);
	}
}

static void on_done(void *arg, int status, const struct ferry_error *e)
{
	struct exec *x = arg;
	struct request *r = x->r;
	struct ferry_error why = e ? *e : FERRY_ERROR_INIT;

	if (e)
		tell_how_to_attach(x, &why);
	exec_free(x);
	if (e)
		request_end_failed(r, &why);
	else
		request_end(r, json_pack("{s:i}", "exit", status));
}

static struct exec *exec_new(struct vm *vm, struct request *r)
{
	struct exec *x = calloc(1, sizeof *x);

	if (!x)
		return NULL;
	*x = (struct exec){ .host = vm->host, .r = r, .route = guest_route_new(vm->host, vm) };
	if (!x->route) {
		free(x);
		return NULL;
	}
	snprintf(x->vm, sizeof x->vm, "%s", vm->name);
	x->next = vm->host->execs;
	vm->host->execs = x;
	return x;
}

// Exactly one of the two is given.
static void begin(struct vm *vm, struct request *r, const struct agent_exec_spec *spec,
	const struct agent_job *job)
{
	static const struct agent_exec_handlers handlers = { on_output, on_done };
	struct ferry_error e = FERRY_ERROR_INIT;
	struct exec *x = exec_new(vm, r);

	if (x && spec)
		x->run = agent_exec_start(guest_route_way(x->route), spec, &handlers, x, &e);
	else if (x)
		x->run = agent_exec_attach(guest_route_way(x->route), job, &handlers, x, &e);
	if (x && x->run) {
		request_on_gone(r, on_gone, x);
		return;
	}
	if (x)
		exec_free(x);
	if (!e.err)
		ferry_fail(&e, ENOMEM, "no-memory", "no memory for another program");
	request_fail(r, &e);
}

void exec_start(struct vm *vm, struct request *r, const struct agent_exec_spec *spec)
{
	begin(vm, r, spec, NULL);
}

void exec_attach(struct vm *vm, struct request *r, const struct agent_job *job)
{
	begin(vm, r, NULL, job);
}

void exec_close(struct host *h)
{
	while (h->execs) {
		struct exec *x = h->execs;
		agent_exec_leave(x->run);
		exec_free(x);
	}
}
