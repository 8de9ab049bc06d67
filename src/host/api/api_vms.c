// SPDX-License-Identifier: Apache-2.0
// Routes about VMs: create, list, remove, start, stop, settings.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "host/api/api.h"
#include "vgpu/profile.h"
#include "host/host.h"
#include "host/inventory.h"
#include "host/precheck/precheck.h"
#include "host/settings.h"
#include "host/vm.h"

#define STOP_TIMEOUT_MS 15000

struct vm *request_vm(struct request *r)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	const char *name = request_segment(r, 1);
	struct vm *vm = vm_find(request_host(r), name);

	if (vm)
		return vm;
	ferry_fail(&e, ENOENT, "no-vm", "there is no VM '%.40s' on host %s", name,
		request_host(r)->config.host);
	ferry_error_remedy(&e, "`ferry vm list` shows those that there are");
	request_fail(r, &e);
	return NULL;
}

static void list_vms(struct request *r)
{
	json_t *all = json_array();

	for (struct vm *vm = request_host(r)->vms; vm; vm = vm->next)
		json_array_append_new(all, vm_to_json(vm));
	request_answer(r, 200, all);
}

static bool address_used(struct host *h, uint32_t ip)
{
	char text[16];

	snprintf(text, sizeof text, "%u.%u.%u.%u", ip >> 24, ip >> 16 & 255, ip >> 8 & 255,
		ip & 255);
	for (struct vm *vm = h->vms; vm; vm = vm->next)
		if (!strcmp(json_string_or(vm->config, "ip", ""), text))
			return true;
	return false;
}

// The first free address of the host's own range; 0 without a bridge, or when none is left.
static uint32_t allocate_address(struct host *h)
{
	if (!h->config.guest.bridge[0])
		return 0;
	uint32_t last = h->config.guest.network | ((1u << (32 - h->config.guest.prefix)) - 1);
	for (uint32_t ip = h->config.guest.first; ip < last; ip++)
		if (!address_used(h, ip))
			return ip;
	return 0;
}

static void create_vm(struct request *r)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	struct host *h = request_host(r);
	_cleanup_json_ json_t *body = request_body(r);
	struct vm *vm = NULL;

	if (!body)
		return;
	json_t *config = vm_doc_from_request(body, &e);
	if (config) {
		json_object_set_new(config, "machine", json_string(h->facts.default_machine));
		vm_doc_add_network(config, &h->config, allocate_address(h));
		vm_create(h, config, &vm, &e);
	}
	if (vm)
		request_answer(r, 201, vm_to_json(vm));
	else
		request_fail(r, &e);
}

static void remove_vm(struct request *r)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	struct vm *vm = request_vm(r);

	if (!vm)
		return;
	bool idle = vm->state == VM_STOPPED || vm->state == VM_RELEASED;
	if (!idle || vm_has_processes(vm) || vm->launch || vm->kill || vm->migration) {
		ferry_fail(&e, EBUSY, "bad-state", "VM '%s' is %s", vm->name,
			vm->launch ? "starting" : vm_state_name(vm->state));
		ferry_error_remedy(&e, "`ferry vm stop %s` first", vm->name);
		request_fail(r, &e);
		return;
	}
	vm_remove(vm);
	request_answer(r, 200, json_object());
}

static void on_progress(void *arg, struct vm *vm, const char *step)
{
	request_line(arg, json_pack("{s:{s:s}}", "progress", "step", step));
}

static void on_done(void *arg, struct vm *vm, const struct ferry_error *e)
{
	if (e)
		request_end_failed(arg, e);
	else
		request_end(arg, vm_to_json(vm));
}

static void start_vm(struct request *r)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	struct vm *vm = request_vm(r);

	if (!vm)
		return;
	if (json_array_size(json_object_get(vm->config, "devices"))) {
		ferry_fail(&e, EOPNOTSUPP, "not-supported",
			"VM '%s' has a device of this host; this version keeps the configuration "
			"but "
			"cannot start it",
			vm->name);
		ferry_error_remedy(&e, "make the VM without --device");
		request_fail(r, &e);
		return;
	}
	const struct profile *p = profile_find(json_string_or(vm->config, "profile", ""), NULL);
	if (p && p->kind == PROFILE_PASSTHROUGH) {
		ferry_fail(&e, EOPNOTSUPP, "not-supported",
			"this version cannot start a VM with the profile %s", p->name);
		ferry_error_remedy(&e, "make the VM with another profile");
		request_fail(r, &e);
		return;
	}
	if (vm->state == VM_RELEASED) {
		ferry_fail(&e, EINVAL, "moved", "VM '%s' lives on host %s", vm->name, vm->owner);
		ferry_error_remedy(&e, "give the command to host %s", vm->owner);
		request_fail(r, &e);
		return;
	}
	if (precheck_placement(request_host(r), vm->config, &e) < 0)
		request_fail(r, &e);
	else
		vm_launch(vm, false, on_progress, on_done, r);
}

static void stop_vm(struct request *r)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	_cleanup_json_ json_t *body = request_body(r);
	struct vm *vm = body ? request_vm(r) : NULL;

	if (!vm)
		return;
	if (vm->migration) {
		ferry_fail(&e, EBUSY, "migration-running", "VM '%s' is being migrated", vm->name);
		ferry_error_remedy(&e, "`ferry cancel %s` first", vm->name);
		request_fail(r, &e);
		return;
	}
	int64_t timeout = json_int_or(body, "timeout_ms", STOP_TIMEOUT_MS);
	if (timeout < 0 || timeout > 600000)
		timeout = STOP_TIMEOUT_MS;
	vm_stop(vm, (int)timeout, on_progress, on_done, r);
}

static void get_settings(struct request *r)
{
	struct vm *vm = request_vm(r);

	if (vm)
		request_answer(r, 200, settings_json(request_host(r), vm));
}

// All or nothing: checked first, then set.
static int set_all(struct vm *vm, json_t *body, struct ferry_error *e)
{
	json_t *settings = json_object_get(vm->config, "settings");
	const char *key;
	json_t *value;
	int r = settings_check_all(body, e);

	if (r < 0)
		return r;
	if (json_object_get(body, "vgpu.scheduling")) {
		r = ferry_fail(
			e, EINVAL, "bad-setting", "vgpu.scheduling is the host's, for all its VMs");
		ferry_error_remedy(e, "`ferry host set vgpu.scheduling=POLICY` on that host");
		return r;
	}
	json_object_foreach(body, key, value)
	{
		if (json_is_null(value))
			json_object_del(settings, key);
		else
			json_object_set(settings, key, value);
		vm_log(vm, "setting %s=%s", key,
			json_is_null(value) ? "(default)" : json_string_value(value));
	}
	vm_save(vm);
	return 0;
}

static void put_settings(struct request *r)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	_cleanup_json_ json_t *body = request_body(r);
	struct vm *vm = body ? request_vm(r) : NULL;

	if (!vm)
		return;
	if (set_all(vm, body, &e) < 0)
		request_fail(r, &e);
	else
		request_answer(r, 200, settings_json(request_host(r), vm));
}

const struct route vm_routes[] = {
	{ "GET", "vms", list_vms },
	{ "POST", "vms", create_vm },
	{ "DELETE", "vms/*", remove_vm },
	{ "POST", "vms/*/start", start_vm },
	{ "POST", "vms/*/stop", stop_vm },
	{ "GET", "vms/*/settings", get_settings },
	{ "PUT", "vms/*/settings", put_settings },
	{ 0 },
};
