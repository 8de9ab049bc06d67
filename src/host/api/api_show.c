// SPDX-License-Identifier: Apache-2.0
// Route of `ferry vm show`: what is known of a VM, and what its vGPUs say of their memory.
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "host/api/api.h"
#include "host/host.h"
#include "host/vm.h"

#define PATIENCE_NS (500 * NSEC_PER_MSEC) // a vGPU that hangs does not hang who asks

struct show {
	struct request *r; // NULL once answered
	struct host *host;
	json_t *doc;
	unsigned waiting; // questions under way, and whoever holds this besides
	struct watch *patience;
};

struct question {
	struct show *s;
	unsigned index;
};

static void answer(struct show *s)
{
	s->patience = watch_remove(s->patience);
	if (s->r && s->host->api) // at the daemon's end the request went with the API
		request_answer(s->r, 200, s->doc);
	else
		json_decref(s->doc);
	s->r = NULL;
	s->doc = NULL;
}

static void let_go(struct show *s)
{
	if (--s->waiting)
		return;
	answer(s);
	free(s);
}

static void on_patience(void *arg)
{
	answer(arg);
}

static void on_status(void *arg, json_t *ok, const struct ferry_error *e, int *fds, size_t n_fds)
{
	struct question *q = arg;
	json_t *all = json_object_get(q->s->doc, "vgpu_processes");

	for (size_t i = 0; i < n_fds; i++)
		close(fds[i]);
	if (ok && all) {
		json_t *one = json_array_get(all, q->index);
		json_object_set_new(one, "allocated_bytes",
			json_integer(json_int_or(ok, "allocated_bytes", 0)));
		json_object_set_new(
			one, "huge_bytes", json_integer(json_int_or(ok, "huge_bytes", 0)));
		json_object_set_new(one, "sessions", json_integer(json_int_or(ok, "sessions", 0)));
	}
	let_go(q->s);
	free(q);
}

static void ask(struct show *s, const struct vm_vgpu *g)
{
	struct question *q = malloc(sizeof *q);

	if (!q)
		return;
	*q = (struct question){ s, g->index };
	if (link_request(g->link, "status", NULL, NULL, 0, on_status, q) == 0)
		s->waiting++;
	else
		free(q);
}

static void show_vm(struct request *r)
{
	struct vm *vm = request_vm(r);

	if (!vm)
		return;
	struct show *s = calloc(1, sizeof *s);
	if (!s) {
		request_answer(r, 200, vm_to_json(vm));
		return;
	}
	*s = (struct show){ .r = r, .host = vm->host, .doc = vm_to_json(vm), .waiting = 1 };
	for (unsigned i = 0; i < vm->n_vgpus; i++)
		if (vm->vgpus[i].link)
			ask(s, &vm->vgpus[i]);
	s->patience = loop_timer(vm->host->loop, clock_now_ns() + PATIENCE_NS, on_patience, s);
	let_go(s);
}

const struct route show_routes[] = {
	{ "GET", "vms/*", show_vm },
	{ 0 },
};
