// SPDX-License-Identifier: Apache-2.0
// What a host has for one more VM: its free memory now, and what is left of the cap that its
// configuration sets on what VMs are given.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/units.h"
#include "host/host.h"
#include "host/placement.h"
#include "host/precheck/precheck.h"
#include "host/vm_doc.h"

uint64_t host_available_memory(void)
{
	_cleanup_free_ char *text = NULL;
	unsigned long long kib = 0;

	if (file_read("/proc/meminfo", 65536, &text, NULL, NULL) < 0)
		return 0;
	const char *at = strstr(text, "MemAvailable:");
	if (!at || sscanf(at, "MemAvailable: %llu", &kib) != 1)
		return 0;
	return (uint64_t)kib << 10;
}

static uint64_t whole(const struct vm_spec *s)
{
	return s->memory_bytes + s->vgpus * s->framebuffer_bytes;
}

uint64_t host_given_memory(const struct host *h)
{
	uint64_t given = 0;

	for (const struct vm *vm = h->vms; vm; vm = vm->next) {
		struct vm_spec s;
		if (vm_is_given(vm) && vm_doc_read(vm->config, &s, NULL) == 0)
			given += whole(&s);
	}
	return given;
}

static int check_cap(const struct host *h, const struct vm_spec *s, struct ferry_error *e)
{
	uint64_t cap = h->config.memory_bytes;
	uint64_t given = cap ? host_given_memory(h) : 0;
	uint64_t left = given < cap ? cap - given : 0;
	char need[16], have[16], all[16];

	if (!cap || whole(s) <= left)
		return 0;
	size_format(whole(s), need, sizeof need);
	size_format(left, have, sizeof have);
	size_format(cap, all, sizeof all);
	int r = ferry_fail(e, ENOMEM, "no-memory",
		"VM '%s' needs %s, host %s has %s left of the %s that it gives to VMs", s->name,
		need, h->config.host, have, all);
	ferry_error_remedy(
		e, "stop or move another VM of host %s, or choose another host", h->config.host);
	ferry_error_remedy(e, "or raise 'memory' in the configuration of host %s", h->config.host);
	return r;
}

int precheck_room(const struct host *h, const struct vm_spec *s, struct ferry_error *e)
{
	int r = check_cap(h, s, e);

	return r < 0 ? r : placement_check(h, NULL, profile_find(s->profile, NULL), s->vgpus, e);
}

void precheck_memory(
	const struct host *h, const struct vm_spec *s, uint64_t allocated, json_t *findings)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	uint64_t available = host_available_memory();
	uint64_t now = s->memory_bytes + allocated;
	char need[16], have[16];

	if (precheck_room(h, s, &e) < 0) {
		finding_add(findings, SEVERITY_REFUSE, e.code, e.remedies[0], "%s", e.message);
		return;
	}
	size_format(now > available ? now : whole(s), need, sizeof need);
	size_format(available, have, sizeof have);
	if (now > available)
		finding_add(findings, SEVERITY_REFUSE, "no-memory",
			"free memory at the destination, or choose another host",
			"the VM needs %s, host %s has %s free", need, h->config.host, have);
	else if (whole(s) > available)
		finding_add(findings, SEVERITY_WARN, "memory-tight",
			"free memory at the destination before the VM uses its whole framebuffer",
			"the VM may grow to %s, host %s has %s free", need, h->config.host, have);
}

int precheck_placement(struct host *h, const json_t *config, struct ferry_error *e)
{
	struct vm_spec s;
	char need[16], have[16];
	int r = vm_doc_read(config, &s, e);

	if (r == 0)
		r = precheck_room(h, &s, e);
	if (r < 0)
		return r;
	uint64_t available = host_available_memory();
	if (whole(&s) <= available)
		return 0;
	size_format(whole(&s), need, sizeof need);
	size_format(available, have, sizeof have);
	r = ferry_fail(e, ENOMEM, "no-memory", "VM '%s' needs %s, host %s has %s free", s.name,
		need, h->config.host, have);
	ferry_error_remedy(e, "choose a smaller profile or less --memory");
	ferry_error_remedy(e, "stop or move another VM");
	return r;
}
