// SPDX-License-Identifier: Apache-2.0
#include "host/host.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "host/api/api.h"
#include "host/exec.h"
#include "host/guest_route.h"
#include "host/guest_serve.h"
#include "host/inventory.h"
#include "host/listener.h"
#include "host/migration/migration.h"
#include "host/peer.h"
#include "host/turns.h"
#include "host/vm_link.h"

#include <errno.h>
#include <string.h>

void host_event(struct host *h, const struct vm *vm, const char *name, json_t *data)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	_cleanup_json_ json_t *event = json_pack("{s:s, s:I, s:s?, s:o}", "event", name, "wall_ns",
		(json_int_t)clock_wall_ns(), "vm", vm ? vm->name : NULL, "data",
		data ? data : json_object());

	if (!h->inventory)
		return;
	if (inventory_add_event(h->inventory, event, NULL, &e) < 0)
		log_error("event %s: %s", name, e.message);
	if (!vm) {
		_cleanup_free_ char *text =
			json_dumps(json_object_get(event, "data"), JSON_COMPACT);
		log_info("event %s %s", name, text);
	}
}

void host_history(struct host *h, const json_t *result)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	if (inventory_add_history(h->inventory, result, &e) < 0)
		log_error("history: %s", e.message);
}

static void load_pid(const json_t *doc, struct vm_process *p)
{
	p->pid = (pid_t)json_int_or(doc, "pid", 0);
	p->start_time = (uint64_t)json_int_or(doc, "start", 0);
}

static int load_vm(void *arg, const struct inventory_vm *row, struct ferry_error *e)
{
	struct host *h = arg;
	enum vm_state state;
	int r = vm_doc_check(row->config, e);

	if (r == 0 && !vm_state_parse(row->state, &state))
		r = ferry_fail(e, EPROTO, "inventory", "there is no state '%.20s'", row->state);
	if (r < 0) {
		ferry_error_prefix(e, "VM '%.40s' of the inventory", row->name);
		return r;
	}
	struct vm *vm = vm_new(h, json_deep_copy(row->config), e);
	if (!vm)
		return -ENOMEM;
	vm->state = state;
	vm->epoch = (uint64_t)row->epoch;
	snprintf(vm->owner, sizeof vm->owner, "%s", row->owner);
	load_pid(json_object_get(row->processes, "qemu"), &vm->qemu);
	const json_t *vgpus = json_object_get(row->processes, "vgpus");
	for (unsigned i = 0; i < vm->n_vgpus; i++) {
		const json_t *p = json_array_get(vgpus, i);
		load_pid(p, &vm->vgpus[i].process);
		vm->vgpus[i].slice = (int)json_int_or(p, "slice", -1);
		vm->vgpus[i].renew.times = (unsigned)json_int_or(p, "lost", 0);
		if (json_bool_or(p, "away", false))
			vm->vgpus[i].renew.stage = RENEW_WAITING;
	}
	return 0;
}

static void read_facts(struct host *h)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	vm_accel_probe(&h->accel);
	log_info("accelerator %s: %s", vm_accel_name(h->accel.accel), h->accel.reason);
	// A host without QEMU still answers, and says so where it matters.
	if (vm_facts_read(&h->facts, h->accel.accel, &e) < 0)
		log_warn("%s", e.message);
}

static int open_parts(struct host *h, struct ferry_error *e)
{
	h->faults = faults_new(h);
	h->inventory = inventory_open("ferry.db", e);
	if (!h->faults || !h->inventory)
		return h->faults ? -EIO : ferry_fail(e, ENOMEM, "no-memory", "no memory");
	int r = inventory_each_vm(h->inventory, load_vm, h, e);
	if (r < 0)
		return r;
	for (struct vm *vm = h->vms; vm; vm = vm->next)
		vm_adopt(vm);
	host_turns_open(h);
	r = migration_recover(h, e);
	if (r < 0)
		return r;
	if (h->config.listen[0] && !(h->listener = listener_new(h, h->config.listen, e)))
		return -EIO;
	h->api = api_new(h, "ferryd.sock", e);
	return h->api ? 0 : -EIO;
}

int host_open(struct host *h, struct loop *l, const struct config *c, struct ferry_error *e)
{
	*h = (struct host){ .loop = l, .config = *c };
	int r = dir_make("vms", e);
	if (r == 0)
		r = dir_make("records", e);
	if (r < 0)
		return r;
	read_facts(h);
	host_device_read(h);
	r = open_parts(h, e);
	if (r < 0)
		host_close(h);
	else
		host_event(
			h, NULL, "host.started", json_pack("{s:s}", "version", FERRY_VERSION_TEXT));
	return r;
}

void host_close(struct host *h)
{
	h->api = api_free(h->api);
	host_device_close(h);
	exec_close(h);
	guest_routes_close(h);
	guest_serve_close(h);
	h->listener = listener_free(h->listener);
	peer_close_all(h);
	if (h->inventory)
		migration_close(h);
	while (h->vms)
		vm_free(h->vms);
	host_turns_close(h);
	h->faults = faults_free(h->faults);
	h->inventory = inventory_close(h->inventory);
}
