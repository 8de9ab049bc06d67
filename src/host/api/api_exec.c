// SPDX-License-Identifier: Apache-2.0
// Route of `ferry vm exec`.
#include <errno.h>
#include <string.h>
#include "host/api/api.h"
#include "host/exec.h"
#include "host/host.h"

#define MAX_ARGS 256

// Strings without NUL, at least one; their total length is the body's.
static int check_argv(const json_t *argv, struct ferry_error *e)
{
	json_t *word;
	size_t i;

	if (!json_is_array(argv) || !json_array_size(argv) || json_array_size(argv) > MAX_ARGS)
		return ferry_fail(e, EINVAL, "bad-request", "'argv' is not a list of 1 to %d words",
			MAX_ARGS);
	json_array_foreach(argv, i, word)
	{
		if (!json_is_string(word) ||
			strlen(json_string_value(word)) != json_string_length(word))
			return ferry_fail(
				e, EINVAL, "bad-request", "'argv' has something that is no text");
	}
	return 0;
}

static int check_env(const json_t *env, struct ferry_error *e)
{
	const char *name;
	json_t *value;

	if (env && !json_is_object(env))
		return ferry_fail(e, EINVAL, "bad-request", "'env' is not an object");
	json_object_foreach((json_t *)env, name, value)
	{
		if (!json_is_string(value) || strchr(name, '='))
			return ferry_fail(
				e, EINVAL, "bad-request", "'env' wants {\"NAME\":\"text\"}");
	}
	return 0;
}

static int check_vm(const struct vm *vm, struct ferry_error *e)
{
	if (vm->state == VM_RUNNING && vm->booted)
		return 0;
	if (vm->state == VM_RELEASED) {
		int r = ferry_fail(
			e, EREMOTE, "moved", "VM '%s' lives on host %s", vm->name, vm->owner);
		ferry_error_remedy(e, "give the command to host %s", vm->owner);
		return r;
	}
	int r = ferry_fail(e, EINVAL, "vm-not-running", "VM '%s' is %s", vm->name,
		vm->state == VM_RUNNING ? "booting" : vm_state_name(vm->state));
	ferry_error_remedy(e, "`ferry vm start %s` first", vm->name);
	return r;
}

static void start(struct vm *vm, struct request *r, const json_t *body)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	struct agent_exec_spec spec = { .argv = json_object_get(body, "argv"),
		.env = json_object_get(body, "env"),
		.detach = json_bool_or(body, "detach", false) };

	if (check_argv(spec.argv, &e) < 0 || check_env(spec.env, &e) < 0 || check_vm(vm, &e) < 0)
		request_fail(r, &e);
	else
		exec_start(vm, r, &spec);
}

static int read_job(const json_t *doc, struct agent_job *ret, struct ferry_error *e)
{
	if (json_get_string(doc, "job", ret->id, sizeof ret->id, e) < 0 ||
		json_get_u64(doc, "out", INT64_MAX, &ret->taken[0], e) < 0 ||
		json_get_u64(doc, "err", INT64_MAX, &ret->taken[1], e) < 0)
		return -EINVAL;
	if (strlen(ret->id) != 16 || strspn(ret->id, "0123456789abcdef") != 16)
		return ferry_fail(e, EINVAL, "bad-request", "'job' is not 16 hex digits");
	return 0;
}

// The program's VM may have moved away: it is followed.
static void attach(struct vm *vm, struct request *r, const json_t *doc)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	struct agent_job job = { .id = "" };

	if (read_job(doc, &job, &e) < 0 || (vm->state != VM_RELEASED && check_vm(vm, &e) < 0))
		request_fail(r, &e);
	else
		exec_attach(vm, r, &job);
}

static void post_exec(struct request *r)
{
	_cleanup_json_ json_t *body = request_body(r);
	struct vm *vm = body ? request_vm(r) : NULL;
	const json_t *job = json_object_get(body, "attach");

	if (vm && job)
		attach(vm, r, job);
	else if (vm)
		start(vm, r, body);
}

const struct route exec_routes[] = {
	{ "POST", "vms/*/exec", post_exec },
	{ 0 },
};
