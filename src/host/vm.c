// SPDX-License-Identifier: Apache-2.0
#include "host/vm.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "host/guest_route.h"
#include "host/guest_serve.h"
#include "host/host.h"
#include "host/inventory.h"
#include "host/vm_link.h"
#include "host/vm_renew.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct vm *vm_find(struct host *h, const char *name)
{
	for (struct vm *vm = h->vms; vm; vm = vm->next)
		if (!strcmp(vm->name, name))
			return vm;
	return NULL;
}

void vm_path(const struct vm *vm, const char *file, char *ret, size_t size)
{
	snprintf(ret, size, "vms/%s/%s", vm->name, file);
}

void vm_log(struct vm *vm, const char *fmt, ...)
{
	char text[700];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	for (char *c = text; *c; c++)
		if (*c == '\n' || *c == '\r')
			*c = ' ';
	log_line_to(vm->log_fd, "%s", text);
	log_info("%s: %s", vm->name, text);
}

static void open_log(struct vm *vm)
{
	char path[160];

	vm_path(vm, "vm.log", path, sizeof path);
	vm->log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

// In the order of names, so that lists need no sorting.
static void insert(struct host *h, struct vm *vm)
{
	struct vm **at = &h->vms;

	while (*at && strcmp((*at)->name, vm->name) < 0)
		at = &(*at)->next;
	vm->next = *at;
	*at = vm;
}

static void set_config(struct vm *vm, json_t *config)
{
	json_decref(vm->config);
	vm->config = config;
	vm->n_vgpus = (unsigned)json_int_or(config, "vgpus", 0);
	vm->n_ports = (unsigned)json_int_or(config, "ports", VM_PORTS_PER_GPU);
	for (unsigned i = 0; i < VM_GPUS_MAX; i++) {
		vm->vgpus[i].vm = vm;
		vm->vgpus[i].index = i;
		vm->vgpus[i].slice = -1;
	}
}

struct vm *vm_new(struct host *h, json_t *config, struct ferry_error *e)
{
	struct vm *vm = calloc(1, sizeof *vm);
	char path[160];

	if (!vm) {
		ferry_fail(e, ENOMEM, "no-memory", "no memory for another VM");
		json_decref(config);
		return NULL;
	}
	vm->host = h;
	vm->log_fd = -1;
	snprintf(vm->name, sizeof vm->name, "%s", json_string_or(config, "name", ""));
	snprintf(vm->owner, sizeof vm->owner, "%s", h->config.host);
	set_config(vm, config);
	vm_path(vm, "cl-cache", path, sizeof path);
	if (dir_make(path, e) < 0) {
		json_decref(vm->config);
		free(vm);
		return NULL;
	}
	vm->agent = agent_new(h->loop);
	open_log(vm);
	insert(h, vm);
	return vm;
}

void vm_free(struct vm *vm)
{
	struct vm **at = &vm->host->vms;

	while (*at && *at != vm)
		at = &(*at)->next;
	if (*at)
		*at = vm->next;
	guest_routes_forget(vm);
	guest_serve_forget(vm);
	vm->agent = agent_free(vm->agent);
	vm_disconnect(vm);
	watch_remove(vm->qemu.exit);
	vm_renew_forget(vm);
	for (unsigned i = 0; i < VM_GPUS_MAX; i++)
		watch_remove(vm->vgpus[i].process.exit);
	if (vm->log_fd >= 0)
		close(vm->log_fd);
	json_decref(vm->config);
	free(vm);
}

int vm_create(struct host *h, json_t *config, struct vm **ret, struct ferry_error *e)
{
	const char *name = json_string_or(config, "name", "");

	if (vm_find(h, name)) {
		int r = ferry_fail(e, EEXIST, "name-taken", "there is a VM '%s' already", name);
		ferry_error_remedy(e, "choose another name, or `ferry vm rm %s`", name);
		json_decref(config);
		return r;
	}
	struct vm *vm = vm_new(h, config, e);
	if (!vm)
		return -ENOMEM;
	vm->state = VM_STOPPED;
	vm->epoch = 1;
	vm_save(vm);
	vm_log(vm, "created, profile %s", json_string_or(vm->config, "profile", ""));
	host_event(h, vm, "vm.created", NULL);
	*ret = vm;
	return 0;
}

int vm_create_incoming(struct host *h, const json_t *config, uint64_t epoch, const char *from,
	struct vm **ret, struct ferry_error *e)
{
	int r = vm_doc_check(config, e);

	if (r < 0)
		return r;
	struct vm *vm = vm_find(h, json_string_or(config, "name", ""));
	if (vm && (vm->state != VM_RELEASED || vm_has_processes(vm)))
		return ferry_fail(e, EEXIST, "name-taken", "host %s has a VM '%s' (%s) already",
			h->config.host, vm->name, vm_state_name(vm->state));
	if (vm) {
		set_config(vm, json_deep_copy(config));
		vm->returns_released = true;
		r = vm_set_state(vm, VM_INCOMING, epoch, from, "coming back", e);
		*ret = vm;
		return r;
	}
	vm = vm_new(h, json_deep_copy(config), e);
	if (!vm)
		return -ENOMEM;
	vm->state = VM_INCOMING;
	vm->epoch = epoch;
	snprintf(vm->owner, sizeof vm->owner, "%s", from);
	vm_save(vm);
	vm_log(vm, "incoming from host %s, epoch %llu", from, (unsigned long long)epoch);
	host_event(h, vm, "vm.incoming", json_pack("{s:s}", "from", from));
	*ret = vm;
	return 0;
}

void vm_remove(struct vm *vm)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	struct host *h = vm ? vm->host : NULL;
	char path[160];

	if (!vm)
		return;
	vm_path(vm, "", path, sizeof path);
	if (inventory_remove_vm(h->inventory, vm->name, &e) < 0 || path_remove(path, &e) < 0)
		log_error("%s: %s", vm->name, e.message);
	host_event(h, vm, "vm.removed", NULL);
	vm_free(vm);
}

bool vm_is_given(const struct vm *vm)
{
	if (vm_has_processes(vm) || vm->launch)
		return true;
	return vm->state != VM_STOPPED && vm->state != VM_RELEASED;
}

static json_t *process_json(const struct vm_process *p)
{
	return json_pack(
		"{s:I, s:I}", "pid", (json_int_t)p->pid, "start", (json_int_t)p->start_time);
}

void vm_save(struct vm *vm)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	json_t *vgpus = json_array();

	for (unsigned i = 0; i < vm->n_vgpus; i++) {
		const struct vm_vgpu *g = &vm->vgpus[i];
		json_t *p = process_json(&g->process);
		json_object_set_new(p, "slice", json_integer(g->slice));
		json_object_set_new(p, "lost", json_integer(g->renew.times));
		json_object_set_new(p, "away", json_boolean(vm_renew_is_on(g)));
		json_array_append_new(vgpus, p);
	}
	_cleanup_json_ json_t *processes =
		json_pack("{s:o, s:o}", "qemu", process_json(&vm->qemu), "vgpus", vgpus);
	struct inventory_vm row = { .name = vm->name,
		.config = vm->config,
		.state = vm_state_name(vm->state),
		.owner = vm->owner,
		.epoch = (int64_t)vm->epoch,
		.processes = processes };

	if (inventory_save_vm(vm->host->inventory, &row, &e) < 0)
		log_error("%s: %s", vm->name, e.message);
}

json_t *vm_to_json(const struct vm *vm)
{
	json_t *doc = json_deep_copy(vm->config), *vgpus = json_array();
	char path[4400];

	for (unsigned i = 0; i < vm->n_vgpus; i++) {
		const struct vm_vgpu *g = &vm->vgpus[i];
		json_array_append_new(
			vgpus, json_pack("{s:i, s:I, s:s, s:b, s:i, s:b}", "index", (int)i, "pid",
				       (json_int_t)g->process.pid, "tracker", g->tracker,
				       "connected", g->link != NULL, "lost", (int)g->renew.times,
				       "away", vm_renew_is_on(g)));
	}
	snprintf(path, sizeof path, "%s/vms/%s/vm.log", vm->host->config.state, vm->name);
	json_object_set_new(doc, "vgpu_processes", vgpus);
	json_object_set_new(doc, "state", json_string(vm_state_name(vm->state)));
	json_object_set_new(doc, "epoch", json_integer((json_int_t)vm->epoch));
	json_object_set_new(doc, "owner", json_string(vm->owner));
	json_object_set_new(doc, "host", json_string(vm->host->config.host));
	json_object_set_new(doc, "qemu_pid", json_integer(vm->qemu.pid));
	json_object_set_new(doc, "booted", json_boolean(vm->booted));
	json_object_set_new(doc, "migrating", json_boolean(vm->migration != NULL));
	json_object_set_new(doc, "log", json_string(path));
	return doc;
}

void vm_observe(struct vm *vm, const struct vm_observer *o, void *arg)
{
	vm->observer = o;
	vm->observer_arg = arg;
}
