// SPDX-License-Identifier: Apache-2.0
// Parts of the device: the host's own sub-devices. They stay until the process ends, and who asks for
// the same division gets the same parts. PoCL 3.1's queues do not hold their device, and a worker
// thread may let the last reference to a queue go some time after its last command is complete
// (pocl_update_event_finished, clReleaseEvent): nobody outside can know when a part is out of use.
#include "vgpu/backend/cl_backend.h"
#include "vgpu/profile.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// Of one vGPU: a guest that tries one division after the other stops there.
#define DIVISIONS_MAX 256

static cl_device_id cl_device_of(struct cl_backend *b, struct be_part *part)
{
	return part ? (cl_device_id)part : b->own;
}

// Drivers add up what they are given without a check for overflow.
static cl_int check(cl_device_id device, const struct be_partition *how)
{
	bool equally = how->kind == CL_DEVICE_PARTITION_EQUALLY;
	uint64_t total = 0;
	cl_uint have = 0;

	if (!equally && how->kind != CL_DEVICE_PARTITION_BY_COUNTS)
		return CL_INVALID_VALUE;
	clGetDeviceInfo(device, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof have, &have, NULL);
	for (uint32_t i = 0; i < how->n; i++) {
		if (!how->units[i])
			return CL_INVALID_VALUE;
		total += how->units[i];
	}
	if (!total || (equally && how->n != 1))
		return CL_INVALID_VALUE;
	if (total > have)
		return equally ? CL_INVALID_VALUE : CL_INVALID_DEVICE_PARTITION_COUNT;
	return CL_SUCCESS;
}

// One call of clCreateSubDevices and all that it made.
struct division {
	struct division *next;
	cl_device_id parent;
	struct be_partition how; // whatever its index
	cl_uint n;
	cl_device_id parts[];
};

static bool is_same(const struct division *d, cl_device_id parent, const struct be_partition *how)
{
	return d->parent == parent && d->how.kind == how->kind && d->how.n == how->n &&
	       !memcmp(d->how.units, how->units, how->n * sizeof *how->units);
}

static cl_int divide(struct cl_backend *b, cl_device_id parent, const struct be_partition *how,
	struct division **ret)
{
	cl_device_partition_property list[BE_PARTS_MAX + 3] = { how->kind };
	cl_uint n = 0;

	for (uint32_t i = 0; i < how->n; i++)
		list[i + 1] = how->units[i];
	cl_int err = clCreateSubDevices(parent, list, 0, NULL, &n);
	if (err != CL_SUCCESS)
		return err;
	if (n > BE_PARTS_MAX || b->n_divisions == DIVISIONS_MAX)
		return CL_OUT_OF_RESOURCES;
	struct division *d = calloc(1, sizeof *d + n * sizeof *d->parts);
	if (!d)
		return CL_OUT_OF_HOST_MEMORY;
	err = clCreateSubDevices(parent, list, n, d->parts, NULL);
	if (err != CL_SUCCESS) {
		free(d);
		return err;
	}
	d->parent = parent;
	d->how = *how;
	d->n = n;
	d->next = b->divisions;
	b->divisions = d;
	b->n_divisions++;
	*ret = d;
	return CL_SUCCESS;
}

// PoCL keeps the thread of its n-th compute unit on processor n where it is told to: a VM's. `ferry run` has
// chosen processors of its own for us.
static void hold_cores(struct cl_backend *b, uint32_t first, uint32_t count)
{
	const char *affinity = getenv("POCL_AFFINITY");

	if (!affinity || atoi(affinity) != 1)
		return;
	for (uint32_t i = first; i < first + count; i++)
		if (cores_hold(&b->cores, i) == -EADDRINUSE)
			log_warn("processor %u is a `ferry run`'s as well as this partition's", i);
}

int cl_part_own(struct cl_backend *b, struct ferry_error *e)
{
	const struct be_slices *s = &b->config.slices;
	struct be_partition how = { .kind = CL_DEVICE_PARTITION_BY_COUNTS };
	struct division *d = NULL;
	cl_uint units = 0;

	b->own = b->device;
	if (!s->count)
		return 0;
	clGetDeviceInfo(b->device, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof units, &units, NULL);
	uint32_t before = s->first * units / PROFILE_SLICES;
	uint32_t count = (s->first + s->count) * units / PROFILE_SLICES - before;
	if (before)
		how.units[how.n++] = before;
	how.units[how.n++] = count;
	if (!count || divide(b, b->device, &how, &d) != CL_SUCCESS)
		return ferry_fail(e, ENODEV, "no-units",
			"the device has %u compute units, and cannot give %u of %u slices a part "
			"of their own",
			units, s->count, PROFILE_SLICES);
	b->own = d->parts[d->n - 1];
	hold_cores(b, before, count);
	return 0;
}

cl_int cl_part_new(struct backend *be, struct be_part *parent, const struct be_partition *how,
	struct be_part **ret)
{
	struct cl_backend *b = cl_of(be);
	cl_device_id device = cl_device_of(b, parent);
	cl_int err = check(device, how);
	struct division *d = b->divisions;

	while (d && !is_same(d, device, how))
		d = d->next;
	if (err == CL_SUCCESS && !d)
		err = divide(b, device, how, &d);
	if (err == CL_SUCCESS && how->index >= d->n)
		err = CL_INVALID_VALUE;
	if (err == CL_SUCCESS)
		*ret = (struct be_part *)d->parts[how->index];
	return err;
}

void cl_parts_free(struct cl_backend *b)
{
	struct division *next;

	for (struct division *d = b->divisions; d; d = next) { // made later, freed earlier
		next = d->next;
		for (cl_uint i = 0; i < d->n; i++)
			clReleaseDevice(d->parts[i]);
		free(d);
	}
	cores_release(&b->cores);
}

cl_int cl_queue_new(struct backend *be, struct be_part *part, bool profiling, struct be_queue **ret)
{
	struct cl_backend *b = cl_of(be);
	cl_command_queue_properties properties = profiling ? CL_QUEUE_PROFILING_ENABLE : 0;
	cl_queue_properties list[] = { CL_QUEUE_PROPERTIES, properties, 0 };
	cl_int err;

	*ret = (struct be_queue *)clCreateCommandQueueWithProperties(
		b->context, cl_device_of(b, part), list, &err);
	return err;
}
