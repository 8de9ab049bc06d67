// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "host/host.h"
#include "host/precheck/precheck.h"
#include "vgpu/profile.h"
#include "host/vm_doc.h"

static void check_name(struct host *h, const char *name, json_t *findings)
{
	const struct vm *there = vm_find(h, name);

	if (there && there->state != VM_RELEASED)
		finding_add(findings, SEVERITY_REFUSE, "name-taken",
			"remove or rename the VM at the destination", "host %s has a VM '%s' (%s)",
			h->config.host, name, vm_state_name(there->state));
}

// "7.2.22" -> 702.
static int version_number(const char *text)
{
	int major = 0, minor = 0;

	return sscanf(text, "%d.%d", &major, &minor) == 2 ? major * 100 + minor : 0;
}

static void check_qemu(
	struct host *h, const struct vm_spec *s, const json_t *args, json_t *findings)
{
	const char *theirs = json_string_or(args, "qemu_version", "");

	if (!h->facts.qemu_version[0]) {
		finding_add(findings, SEVERITY_REFUSE, "no-qemu",
			"install the package qemu-system-x86", "host %s has no QEMU",
			h->config.host);
		return;
	}
	if (version_number(theirs) > version_number(h->facts.qemu_version))
		finding_add(findings, SEVERITY_REFUSE, "qemu-version",
			"install at least the source's QEMU at the destination",
			"QEMU %.20s at the source is newer than %s on host %s", theirs,
			h->facts.qemu_version, h->config.host);
	if (!vm_facts_has_machine(&h->facts, s->machine))
		finding_add(findings, SEVERITY_REFUSE, "machine-type",
			"install a QEMU that has it at the destination",
			"host %s has no machine type %.31s", h->config.host, s->machine);
}

static void check_processor(struct host *h, const json_t *config, json_t *findings)
{
	const char *accel = json_string_or(config, "accel", "");
	const char *ours = vm_accel_name(h->accel.accel);
	const char *key = json_string_or(config, "cpu_key", "");

	if (accel[0] && strcmp(accel, ours))
		finding_add(findings, SEVERITY_REFUSE, "accelerator",
			"choose a host with the same accelerator",
			"the VM runs under %.7s, host %s has %s", accel, h->config.host, ours);
	else if (key[0] && strcmp(key, h->facts.cpu_key))
		finding_add(findings, SEVERITY_REFUSE, "cpu-features",
			"choose a host with the same processor and QEMU",
			"the guest's processor is %.79s, host %s offers %s", key, h->config.host,
			h->facts.cpu_key);
}

static void check_files(struct host *h, const struct vm_spec *s, json_t *findings)
{
	char path[4200];

	if (s->disk && access(s->disk, R_OK | W_OK) < 0)
		finding_add(findings, SEVERITY_REFUSE, "disk-not-visible",
			"put the disk on storage that both hosts see under the same path",
			"host %s cannot open the disk %.200s", h->config.host, s->disk);
	if (s->overlay && access(s->overlay, R_OK | X_OK) < 0)
		finding_add(findings, SEVERITY_WARN, "overlay-not-visible",
			"put the folder under the same path on both hosts",
			"host %s cannot read the overlay %.200s: a reboot there would lack its "
			"files",
			h->config.host, s->overlay);
	snprintf(path, sizeof path, "%s/kernel", h->config.image);
	if (access(path, R_OK) < 0)
		finding_add(findings, SEVERITY_REFUSE, "no-image", "run image/build for that host",
			"host %s has no guest kernel at %.200s", h->config.host, path);
	snprintf(path, sizeof path, "%s/ferry-vgpu", h->config.programs);
	if (s->vgpus && access(path, X_OK) < 0)
		finding_add(findings, SEVERITY_REFUSE, "no-vgpu-program",
			"install Ferry there completely", "host %s has no ferry-vgpu",
			h->config.host);
	if (s->ip[0] && !h->config.guest.bridge[0])
		finding_add(findings, SEVERITY_REFUSE, "no-bridge",
			"give the destination's configuration a guest bridge",
			"the VM has the address %s, host %s has no bridge for guests", s->ip,
			h->config.host);
}

// Nothing is said while either side's device is not known.
static void check_device(struct host *h, const json_t *args, json_t *findings)
{
	const struct host_device *ours = &h->device;
	struct host_device theirs;
	uint64_t svm_bytes = 0;

	host_device_parse(&theirs, json_object_get(args, "device"));
	json_get_u64(args, "svm_bytes", 1ull << 50, &svm_bytes, NULL);
	if (!theirs.key[0] || !ours->key[0])
		return;
	if (strcmp(theirs.key, ours->key))
		finding_add(findings, SEVERITY_WARN, "device-differs",
			"choose a host with the same device, driver and processor to spare the "
			"builds",
			"the vGPU runs on %.60s (driver %.30s), host %s has %.60s (driver %.30s) "
			"or another processor: programs are built again from source there",
			theirs.name, theirs.driver, h->config.host, ours->name, ours->driver);
	if (theirs.svm && !ours->svm && svm_bytes)
		finding_add(findings, SEVERITY_REFUSE, "no-svm",
			"choose a host whose device has it, or end the programs that use it",
			"%llu bytes of shared virtual memory are in use, and host %s's device has "
			"none",
			(unsigned long long)svm_bytes, h->config.host);
	else if (theirs.svm && !ours->svm)
		finding_add(findings, SEVERITY_WARN, "no-svm",
			"choose a host whose device has it if programs need it",
			"host %s's device has no shared virtual memory: programs that know of it "
			"get none there",
			h->config.host);
}

int precheck_destination(
	struct host *h, const json_t *args, json_t *findings, struct ferry_error *e)
{
	const json_t *config = json_object_get(args, "vm");
	uint64_t allocated = 0;
	struct vm_spec s;
	char profile[64] = "?";

	if (!json_is_object(config))
		return ferry_fail(e, EPROTO, "bad-message", "field 'vm' is not an object");
	json_get_string(config, "profile", profile, sizeof profile, NULL);
	if (!profile_find(profile, NULL)) {
		finding_add(findings, SEVERITY_REFUSE, "no-profile",
			"install the same version of Ferry on both hosts",
			"host %s has no profile '%.40s'", h->config.host, profile);
		return 0;
	}
	int r = vm_doc_check(config, e);
	if (r == 0)
		r = vm_doc_read(config, &s, e);
	if (r < 0)
		return r;
	if (json_get_u64(args, "allocated_bytes", 1ull << 50, &allocated, NULL) < 0)
		allocated = s.vgpus * s.framebuffer_bytes;
	check_name(h, s.name, findings);
	precheck_memory(h, &s, allocated, findings);
	check_qemu(h, &s, args, findings);
	check_processor(h, config, findings);
	check_device(h, args, findings);
	check_files(h, &s, findings);
	return 0;
}
