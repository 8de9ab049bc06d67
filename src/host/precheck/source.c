// SPDX-License-Identifier: Apache-2.0
#include <string.h>
#include "host/host.h"
#include "host/precheck/precheck.h"
#include "host/settings.h"
#include "host/vm_renew.h"
#include "vgpu/profile.h"

// What keeps a VM on its host, by the prefix of the device's text.
static const struct {
	const char *prefix, *code, *remedy, *what;
} fixed_devices[] = {
	{ "passthrough:", "passthrough-device",
		"give the VM a vGPU profile instead of the passthrough device",
		"a device of this host is passed through to it" },
	{ "iso:", "local-iso", "make the VM without the image file",
		"an image file of this host is in its drive" },
	{ "serial:", "serial-device", "make the VM without the serial device",
		"a serial device of this host is attached to it" },
};

static void check_profile(struct vm *vm, json_t *findings)
{
	const struct profile *p = profile_find(json_string_or(vm->config, "profile", ""), NULL);
	const char *fixed = p ? profile_fixed_reason(p->kind) : NULL;

	if (fixed)
		finding_add(findings, SEVERITY_REFUSE, "passthrough-device",
			"make the VM with a time-sliced or partitioned profile", "%s: %s", p->name,
			fixed);
}

static void check_devices(struct vm *vm, json_t *findings)
{
	json_t *device;
	size_t i;

	json_array_foreach(json_object_get(vm->config, "devices"), i, device)
	{
		const char *text = json_string_value(device);
		for (size_t k = 0; text && k < sizeof fixed_devices / sizeof *fixed_devices; k++)
			if (!strncmp(
				    text, fixed_devices[k].prefix, strlen(fixed_devices[k].prefix)))
				finding_add(findings, SEVERITY_REFUSE, fixed_devices[k].code,
					fixed_devices[k].remedy, "%s: %s", fixed_devices[k].what,
					text);
	}
}

static void check_state(struct vm *vm, json_t *findings)
{
	if (vm->state == VM_RELEASED)
		finding_add(findings, SEVERITY_REFUSE, "vm-elsewhere",
			"give the command to the host that owns it", "VM '%s' lives on host %s",
			vm->name, vm->owner);
	else if (vm->migration)
		finding_add(findings, SEVERITY_REFUSE, "migration-running",
			"wait for it, or `ferry cancel`", "VM '%s' is being migrated", vm->name);
	else if (vm->state != VM_RUNNING || vm->launch || vm->stop || vm->kill)
		finding_add(findings, SEVERITY_REFUSE, "vm-not-running", "`ferry vm start` first",
			"VM '%s' is %s", vm->name,
			vm->launch ? "starting" : vm_state_name(vm->state));
	for (unsigned i = 0; i < vm->n_vgpus && vm->state == VM_RUNNING; i++)
		if (vm_renew_is_on(&vm->vgpus[i]))
			finding_add(findings, SEVERITY_REFUSE, "vgpu-away",
				"try again when `ferry vm show` has its process, or see "
				"the VM's log",
				"ferry-vgpu %u of VM '%s' ended by itself and is being replaced", i,
				vm->name);
		else if (!vm->vgpus[i].link)
			finding_add(findings, SEVERITY_REFUSE, "vgpu-not-connected",
				"see the VM's vgpu log; a running ferry-vgpu is connected again by "
				"itself",
				"ferry-vgpu %u of VM '%s' does not answer", i, vm->name);
}

void precheck_source(struct vm *vm, const char *to, json_t *findings)
{
	struct host *h = vm->host;

	if (!strcmp(to, h->config.host))
		finding_add(findings, SEVERITY_REFUSE, "same-host", "name another host",
			"VM '%s' is on host %s already", vm->name, to);
	check_state(vm, findings);
	if (vm->n_vgpus && !setting_bool(h, vm, "vgpu.hotmigrate.enabled"))
		finding_add(findings, SEVERITY_REFUSE, "hotmigrate-disabled",
			"`ferry vm set NAME vgpu.hotmigrate.enabled=true`",
			"migrating a running VM with a vGPU is disabled");
	if (vm->n_vgpus > 1)
		finding_add(findings, SEVERITY_REFUSE, "several-vgpus",
			"make the VM with one vGPU of a larger profile",
			"VM '%s' has %u vGPUs; one can be moved", vm->name, vm->n_vgpus);
	check_profile(vm, findings);
	check_devices(vm, findings);
}
