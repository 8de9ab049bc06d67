// SPDX-License-Identifier: Apache-2.0
#include "host/agent.h"
#include "host/guest_route.h"
#include "host/guest_serve.h"
#include "host/host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"

struct agent_wait {
	struct vm *vm;
	int64_t id;
	agent_fn fn;
	void *arg;
};

static void on_pong(void *arg, const json_t *answer, const struct ferry_error *e)
{
	struct agent_wait *w = arg;
	struct ferry_error why = e ? *e : FERRY_ERROR_INIT;

	w->id = 0;
	if (e)
		ferry_error_remedy(
			&why, "see vms/%s/console.log in the host's state folder", w->vm->name);
	w->fn(w->arg, e ? &why : NULL);
}

struct agent_wait *agent_wait_new(struct vm *vm, int timeout_ms, agent_fn fn, void *arg)
{
	struct agent_wait *w = calloc(1, sizeof *w);

	if (!w)
		return NULL;
	*w = (struct agent_wait){ .vm = vm, .fn = fn, .arg = arg };
	w->id = agent_request(vm->agent, "ping", NULL, timeout_ms, on_pong, w);
	if (w->id < 0) {
		free(w);
		return NULL;
	}
	return w;
}

struct agent_wait *agent_wait_free(struct agent_wait *w)
{
	if (w && w->id)
		agent_forget(w->vm->agent, w->id);
	free(w);
	return NULL;
}

void agent_power_off(struct vm *vm)
{
	char job[20];

	snprintf(job, sizeof job, "%016llx", (unsigned long long)clock_wall_ns());
	json_t *args = json_pack("{s:s, s:[s, s, s], s:{}}", "job", job, "argv", "sh", "-c",
		"sync; umount /mnt 2>/dev/null; poweroff -f", "env");

	agent_request(vm->agent, "start", args, 5000, NULL, NULL);
}

void agent_follow(struct vm *vm)
{
	char path[160];

	vm_path(vm, "agent.sock", path, sizeof path);
	agent_set_path(vm->agent, vm->state == VM_RUNNING && vm->qemu.pid ? path : NULL);
	guest_routes_follow(vm);
	guest_serve_follow(vm);
}
