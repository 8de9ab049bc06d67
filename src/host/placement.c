// SPDX-License-Identifier: Apache-2.0
#include "host/placement.h"
#include "base/units.h"
#include "host/host.h"
#include "host/precheck/precheck.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

static const struct profile *profile_of(const struct vm *vm)
{
	return profile_find(json_string_or(vm->config, "profile", ""), NULL);
}

// A bit for each slice that `count` of them from `first` on are.
static unsigned slice_bits(int first, unsigned count)
{
	return first < 0 ? 0 : ((1u << count) - 1) << first;
}

static unsigned used_slices(const struct host *h, const struct vm *self)
{
	unsigned used = 0;

	for (const struct vm *vm = h->vms; vm; vm = vm->next) {
		const struct profile *p = profile_of(vm);
		for (unsigned i = 0; p && vm != self && vm_is_given(vm) && i < vm->n_vgpus; i++)
			used |= slice_bits(vm->vgpus[i].slice, p->slices);
	}
	return used;
}

// As GPUs place their partitions: at multiples of their size, so that what is left is of use.
static int first_free(unsigned used, unsigned count)
{
	for (int at = 0; at + (int)count <= PROFILE_SLICES; at += (int)count)
		if (!(used & slice_bits(at, count)))
			return at;
	return -1;
}

static int check_kind(
	const struct host *h, const struct vm *self, const struct profile *p, struct ferry_error *e)
{
	for (const struct vm *vm = h->vms; vm; vm = vm->next) {
		const struct profile *other = profile_of(vm);
		if (vm == self || !other || !other->framebuffer_bytes || other->kind == p->kind ||
			!vm_is_given(vm))
			continue;
		int r = ferry_fail(e, EBUSY, "kind-mixed",
			"host %s has the %s profile %s (VM '%s'): its device cannot be %s too",
			h->config.host, profile_kind_name(other->kind), other->name, vm->name,
			profile_kind_name(p->kind));
		ferry_error_remedy(
			e, "choose a %s profile, or another host", profile_kind_name(other->kind));
		return r;
	}
	return 0;
}

// Of a CPU device, whose compute units are the processors. ferry-vgpu looks at the device itself.
static unsigned host_units(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n > 0 ? (unsigned)n : 1;
}

static int no_slices(const struct host *h, const struct profile *p, struct ferry_error *e)
{
	int r = ferry_fail(e, EBUSY, "no-slices",
		"host %s has no %u of its device's %u slices together for %s", h->config.host,
		p->slices, PROFILE_SLICES, p->name);

	ferry_error_remedy(e, "stop or move another VM, or choose another host");
	return r;
}

static int find_slices(const struct host *h, const struct vm *self, const struct profile *p,
	unsigned vgpus, int *ret, struct ferry_error *e)
{
	unsigned used = used_slices(h, self);

	if (p->slices * host_units() < PROFILE_SLICES) {
		int r = ferry_fail(e, ENODEV, "no-units",
			"host %s has %u compute units: %u of %u slices hold none", h->config.host,
			host_units(), p->slices, PROFILE_SLICES);
		ferry_error_remedy(e, "choose a profile with more slices, or a larger host");
		return r;
	}
	for (unsigned i = 0; i < vgpus; i++) {
		ret[i] = first_free(used, p->slices);
		if (ret[i] < 0)
			return no_slices(h, p, e);
		used |= slice_bits(ret[i], p->slices);
	}
	return 0;
}

int placement_check(const struct host *h, const struct vm *self, const struct profile *p,
	unsigned vgpus, struct ferry_error *e)
{
	int at[VM_GPUS_MAX];

	if (!p->framebuffer_bytes)
		return 0;
	int r = check_kind(h, self, p, e);
	return r == 0 && p->slices ? find_slices(h, self, p, vgpus, at, e) : r;
}

int placement_assign(struct vm *vm, struct ferry_error *e)
{
	const struct profile *p = profile_of(vm);
	int at[VM_GPUS_MAX];

	memset(at, 0xff, sizeof at);
	int r = p ? placement_check(vm->host, vm, p, vm->n_vgpus, e) : 0;
	if (r == 0 && p && p->slices)
		r = find_slices(vm->host, vm, p, vm->n_vgpus, at, e);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < vm->n_vgpus; i++)
		vm->vgpus[i].slice = at[i];
	return 0;
}

static uint64_t memory_left(const struct host *h)
{
	uint64_t cap = h->config.memory_bytes, given = host_given_memory(h);
	uint64_t available = host_available_memory();
	uint64_t left = cap > given ? cap - given : 0;

	return cap && left < available ? left : available;
}

unsigned placement_count(const struct host *h, const struct profile *p, struct ferry_error *e)
{
	uint64_t fit = memory_left(h) / (p->framebuffer_bytes + VM_DEFAULT_MEMORY);
	int at[PROFILE_SLICES];
	unsigned n = 0;

	if (p->kind == PROFILE_PASSTHROUGH) {
		ferry_fail(e, EOPNOTSUPP, "not-supported", "this version cannot start one");
		return 0;
	}
	if (placement_check(h, NULL, p, 1, e) < 0)
		return 0;
	while (p->slices && n < PROFILE_SLICES && find_slices(h, NULL, p, n + 1, at, NULL) == 0)
		n++;
	if (!fit)
		ferry_fail(e, ENOMEM, "no-memory", "there is no memory left for it");
	return p->slices && n < fit ? n : (unsigned)fit;
}
