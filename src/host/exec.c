// SPDX-License-Identifier: Apache-2.0
#include "host/exec.h"
#include "base/base64.h"
#include "base/cleanup.h"
#include "host/api/api.h"
#include "host/host.h"
#include "vm/agent_exec.h"

#include <errno.h>
#include <stdlib.h>

struct exec {
	struct exec *next;
	struct vm *vm;
	struct request *r;
	struct agent_exec *run;
};

static void unlink_exec(struct exec *x)
{
	struct exec **at = &x->vm->execs;

	while (*at && *at != x)
		at = &(*at)->next;
	if (*at)
		*at = x->next;
}

static void on_output(void *arg, int stream, const void *bytes, size_t n)
{
	struct exec *x = arg;
	_cleanup_free_ char *text = base64_encode_new(bytes, n);

	if (request_gone(x->r)) {
		// Nobody reads any more: the program ends as with a closed terminal.
		x->run = agent_exec_cancel(x->run);
		unlink_exec(x);
		request_end(x->r, json_object());
		free(x);
		return;
	}
	request_line(x->r, json_pack("{s:s}", stream == 2 ? "stderr" : "stdout", text ? text : ""));
}

static void on_done(void *arg, int status, const struct ferry_error *e)
{
	struct exec *x = arg;

	unlink_exec(x);
	if (e)
		request_end_failed(x->r, e);
	else
		request_end(x->r, json_pack("{s:i}", "exit", status));
	free(x);
}

void exec_start(
	struct vm *vm, struct request *r, const json_t *argv, const json_t *env, bool detach)
{
	static const struct agent_exec_handlers handlers = { on_output, on_done };
	struct agent_exec_spec spec = { .argv = argv, .env = env, .detach = detach };
	struct ferry_error e = FERRY_ERROR_INIT;
	struct exec *x = calloc(1, sizeof *x);

	if (x) {
		*x = (struct exec){ .next = vm->execs, .vm = vm, .r = r };
		vm->execs = x;
		x->run = agent_exec_start(vm->agent, &spec, &handlers, x, &e);
		if (x->run)
			return;
		unlink_exec(x);
		free(x);
	}
	if (!e.err)
		ferry_fail(&e, ENOMEM, "no-memory", "no memory for another program");
	request_fail(r, &e);
}

void exec_end_all(struct vm *vm, const struct ferry_error *e)
{
	while (vm->execs) {
		struct exec *x = vm->execs;
		vm->execs = x->next;
		agent_exec_leave(x->run);
		if (e)
			request_end_failed(x->r, e);
		free(x);
	}
}
