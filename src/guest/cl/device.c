// SPDX-License-Identifier: Apache-2.0
// OpenCL 1.2, section 4.3: partitioning a device; and lists of devices.
#include "guest/cl/device.h"

#include <stdlib.h>
#include <string.h>
#include "guest/stream/send.h"
#include "guest/stream/session.h"

static void destroy(struct object *o)
{
	cl_device_id d = (cl_device_id)o;

	free(d->partition);
	object_unref(d->parent);
}

const struct object_class device_class = { CL_INVALID_DEVICE, destroy };

// ---- lists

cl_int devices_take(struct devices *to, cl_uint n, const cl_device_id *from)
{
	*to = (struct devices){ 0, calloc(n + 1, sizeof *to->at) };
	if (!to->at)
		return CL_OUT_OF_HOST_MEMORY;
	for (cl_uint i = 0; i < n; i++) {
		cl_int err = object_check(from[i], &device_class);
		if (err) {
			devices_drop(to);
			return err;
		}
		if (!devices_check(to, from[i]))
			continue;
		object_ref(from[i]);
		to->at[to->n++] = from[i];
	}
	return CL_SUCCESS;
}

void devices_drop(struct devices *d)
{
	for (cl_uint i = 0; i < d->n; i++)
		object_unref(d->at[i]);
	free(d->at);
	*d = (struct devices){ 0 };
}

cl_int devices_check(const struct devices *list, cl_device_id d)
{
	cl_int err = object_check(d, &device_class);

	for (cl_uint i = 0; !err && i < list->n; i++)
		if (list->at[i] == d)
			return CL_SUCCESS;
	return err ? err : CL_INVALID_DEVICE;
}

// ---- partitioning

struct partition {
	const cl_device_partition_property *properties;
	cl_uint n_values; // after the name, without the end
	cl_uint parts;    // how many it makes
	uint32_t values[PROTO_PARTS_MAX];
};

static cl_uint units_of(const struct partition *p, cl_uint index)
{
	return p->values[p->properties[0] == CL_DEVICE_PARTITION_EQUALLY ? 0 : index];
}

static cl_int take_equally(struct partition *p, cl_uint units)
{
	cl_device_partition_property each = p->properties[1];

	if (each <= 0 || p->properties[2])
		return CL_INVALID_VALUE;
	if ((uint64_t)each > units)
		return CL_INVALID_DEVICE_PARTITION_COUNT;
	if ((uint64_t)each == units)
		return CL_DEVICE_PARTITION_FAILED; // section 4.3: into smaller ones
	p->n_values = 1;
	p->values[0] = (uint32_t)each;
	p->parts = units / (cl_uint)each;
	return p->parts > PROTO_PARTS_MAX ? CL_INVALID_VALUE : CL_SUCCESS;
}

static cl_int take_counts(struct partition *p, cl_uint units, cl_uint most)
{
	uint64_t total = 0;

	for (cl_uint i = 0; p->properties[1 + i]; i++) {
		cl_device_partition_property count = p->properties[1 + i];
		if (count < 0 || (uint64_t)count > units || i == most || i == PROTO_PARTS_MAX)
			return CL_INVALID_DEVICE_PARTITION_COUNT;
		p->values[i] = (uint32_t)count;
		p->n_values = p->parts = i + 1;
		total += (uint64_t)count;
	}
	return !total || total > units ? CL_INVALID_DEVICE_PARTITION_COUNT : CL_SUCCESS;
}

static bool is_supported(cl_device_partition_property name)
{
	const struct device_limits *l = device_limits();

	for (size_t i = 0; i < l->n_partitions; i++)
		if (l->partitions[i] == name)
			return name == CL_DEVICE_PARTITION_EQUALLY ||
			       name == CL_DEVICE_PARTITION_BY_COUNTS;
	return false;
}

static cl_int take(struct partition *p, cl_device_id d)
{
	cl_uint units = device_units(d), most = device_parts(d);

	if (!p->properties || !is_supported(p->properties[0]))
		return CL_INVALID_VALUE;
	if (!most)
		return CL_DEVICE_PARTITION_FAILED;
	return p->properties[0] == CL_DEVICE_PARTITION_EQUALLY ? take_equally(p, units)
							       : take_counts(p, units, most);
}

// The name, the values, and a zero.
static cl_device_partition_property *copy_properties(const struct partition *p)
{
	cl_device_partition_property *copy = calloc(p->n_values + 2, sizeof *copy);

	if (copy)
		memcpy(copy, p->properties, (p->n_values + 1) * sizeof *copy);
	return copy;
}

static cl_int make(cl_device_id *ret, cl_device_id parent, const struct partition *p, cl_uint index)
{
	cl_device_id d = object_new(&device_class, sizeof *d, true);

	if (!d)
		return CL_OUT_OF_HOST_MEMORY;
	d->parent = parent;
	object_ref(parent);
	d->units = units_of(p, index);
	d->partition = copy_properties(p);
	d->partition_bytes = (p->n_values + 2) * sizeof *d->partition;
	struct p_sub_device_create m = { d->o.id, parent->o.id, (uint32_t)p->properties[0], index,
		{ .ids = p->values, .n = p->n_values } };
	cl_int err = d->partition ? send_sub_device_create(0, &m, NULL) : CL_OUT_OF_HOST_MEMORY;
	if (err) {
		object_unref(d);
		return err;
	}
	d->o.announced = true;
	*ret = d;
	return CL_SUCCESS;
}

cl_int ferry_clCreateSubDevices(cl_device_id d, const cl_device_partition_property *properties,
	cl_uint n, cl_device_id *devices, cl_uint *n_ret)
{
	LOCKED;
	struct partition p = { .properties = properties };
	cl_int err = object_check(d, &device_class);
	cl_uint made = 0;

	if (!err)
		err = take(&p, d);
	if (!err && (devices ? n < p.parts : n != 0))
		err = CL_INVALID_VALUE;
	for (; !err && devices && made < p.parts; made++)
		err = make(&devices[made], d, &p, made);
	if (err) {
		while (made-- > 1)
			object_unref(devices[made - 1]);
		return err;
	}
	if (n_ret)
		*n_ret = p.parts;
	return CL_SUCCESS;
}

// Root devices are not counted.
cl_int ferry_clRetainDevice(cl_device_id d)
{
	return d == &the_device ? CL_SUCCESS : object_retain(d, &device_class);
}

cl_int ferry_clReleaseDevice(cl_device_id d)
{
	return d == &the_device ? CL_SUCCESS : object_release(d, &device_class);
}
