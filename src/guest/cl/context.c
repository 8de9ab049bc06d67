// SPDX-License-Identifier: Apache-2.0
// OpenCL 1.2, section 4.4: contexts.
#include "guest/cl/device.h"

#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "guest/cl/info.h"
#include "guest/stream/send.h"
#include "guest/stream/session.h"

static void destroy(struct object *o)
{
	cl_context c = (cl_context)o;

	callbacks_defer(&c->destructors);
	object_unref(c->setup_queue);
	devices_drop(&c->devices);
	free(c->properties);
}

const struct object_class context_class = { CL_INVALID_CONTEXT, destroy };

static void invoke_notify(const struct callback *c)
{
	static const char why[] = "the connection to the vGPU is lost";
	void(CL_CALLBACK * fn)(const char *, const void *, size_t, void *);

	fn = (void(CL_CALLBACK *)(const char *, const void *, size_t, void *))c->fn;
	fn(why, NULL, 0, c->user_data);
}

void context_lost(cl_context c)
{
	struct callback *call = NULL;

	if (c->notify)
		call = callback_new(invoke_notify, c->notify, NULL, 0, c->notify_data);
	if (call)
		callback_defer(call);
}

static cl_int check_property(cl_context_properties name, cl_context_properties value)
{
	switch (name) {
	case CL_CONTEXT_PLATFORM:
		return (cl_platform_id)value == &the_platform ? CL_SUCCESS : CL_INVALID_PLATFORM;
	case CL_CONTEXT_INTEROP_USER_SYNC:
		return value == CL_TRUE || value == CL_FALSE ? CL_SUCCESS : CL_INVALID_PROPERTY;
	default:
		return CL_INVALID_PROPERTY;
	}
}

// Length with the closing zero, in bytes.
static cl_int check_properties(const cl_context_properties *p, size_t *ret_bytes)
{
	size_t n = 0;

	*ret_bytes = 0;
	if (!p)
		return CL_SUCCESS;
	for (; p[n]; n += 2) {
		for (size_t i = 0; i < n; i += 2)
			if (p[i] == p[n])
				return CL_INVALID_PROPERTY;
		cl_int err = check_property(p[n], p[n + 1]);
		if (err)
			return err;
	}
	*ret_bytes = (n + 1) * sizeof *p;
	return CL_SUCCESS;
}

static cl_int make(cl_context *ret, cl_uint n, const cl_device_id *devices,
	const cl_context_properties *properties, size_t bytes)
{
	cl_context c = object_new(&context_class, sizeof *c, true);
	struct p_context_create m = { .id = c ? c->o.id : 0 };

	if (!c)
		return CL_OUT_OF_HOST_MEMORY;
	c->properties_bytes = bytes;
	c->properties = bytes ? malloc(bytes) : NULL;
	if (bytes && c->properties)
		memcpy(c->properties, properties, bytes);
	cl_int err = devices_take(&c->devices, n, devices);
	if (!err)
		err = bytes && !c->properties ? CL_OUT_OF_HOST_MEMORY
					      : send_context_create(0, &m, NULL);
	if (err) {
		object_unref(c);
		return err;
	}
	c->o.announced = true;
	*ret = c;
	return CL_SUCCESS;
}

cl_context ferry_clCreateContext(const cl_context_properties *properties, cl_uint n,
	const cl_device_id *devices,
	void(CL_CALLBACK *notify)(const char *, const void *, size_t, void *), void *user_data,
	cl_int *errcode_ret)
{
	LOCKED;
	cl_context c = NULL;
	size_t bytes;
	cl_int err = check_properties(properties, &bytes);

	if (!err && (!n || !devices || (!notify && user_data)))
		err = CL_INVALID_VALUE;
	if (!err)
		err = make(&c, n, devices, properties, bytes);
	if (err)
		return refuse(errcode_ret, err);
	c->notify = (void (*)(void))notify;
	c->notify_data = user_data;
	refuse(errcode_ret, CL_SUCCESS);
	return c;
}

cl_context ferry_clCreateContextFromType(const cl_context_properties *properties,
	cl_device_type type, void(CL_CALLBACK *notify)(const char *, const void *, size_t, void *),
	void *user_data, cl_int *errcode_ret)
{
	cl_device_id device;
	cl_int err = ferry_clGetDeviceIDs(&the_platform, type, 1, &device, NULL);

	if (err)
		return refuse(errcode_ret, err);
	return ferry_clCreateContext(properties, 1, &device, notify, user_data, errcode_ret);
}

cl_int ferry_clRetainContext(cl_context c)
{
	return object_retain(c, &context_class);
}

cl_int ferry_clReleaseContext(cl_context c)
{
	return object_release(c, &context_class);
}

cl_int ferry_clGetContextInfo(
	cl_context c, cl_context_info param, size_t size, void *value, size_t *size_ret)
{
	static const struct info_row rows[] = {
		INFO_OF(CL_CONTEXT_REFERENCE_COUNT, struct _cl_context, o.users),
		INFO_OF(CL_CONTEXT_NUM_DEVICES, struct _cl_context, devices.n),
	};
	LOCKED;
	cl_int err = object_check(c, &context_class);

	if (err)
		return err;
	if (param == CL_CONTEXT_PROPERTIES)
		return info_value(c->properties, c->properties_bytes, size, value, size_ret);
	if (param == CL_CONTEXT_DEVICES)
		return info_value(
			c->devices.at, c->devices.n * sizeof(cl_device_id), size, value, size_ret);
	return info_get(rows, ARRAY_SIZE(rows), c, param, size, value, size_ret);
}

static void invoke_destructor(const struct callback *c)
{
	void(CL_CALLBACK * fn)(cl_context, void *) = (void(CL_CALLBACK *)(cl_context, void *))c->fn;

	fn(c->object, c->user_data);
}

cl_int ferry_clSetContextDestructorCallback(
	cl_context c, void(CL_CALLBACK *fn)(cl_context, void *), void *user_data)
{
	LOCKED;
	cl_int err = object_check(c, &context_class);

	return err ? err
		   : callback_push(
			     &c->destructors, invoke_destructor, (void (*)(void))fn, c, user_data);
}
