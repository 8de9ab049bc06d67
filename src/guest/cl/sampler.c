// SPDX-License-Identifier: Apache-2.0
// OpenCL 1.2, section 5.5: samplers.
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "guest/cl/info.h"
#include "guest/cl/types.h"
#include "guest/stream/send.h"
#include "guest/stream/session.h"

static void destroy(struct object *o)
{
	cl_sampler s = (cl_sampler)o;

	free(s->properties);
	object_unref(s->context);
}

const struct object_class sampler_class = { CL_INVALID_SAMPLER, destroy };

struct sampler_state {
	cl_bool normalized;
	cl_addressing_mode addressing;
	cl_filter_mode filter;
};

static cl_int check_state(const struct sampler_state *s)
{
	if (s->normalized != CL_TRUE && s->normalized != CL_FALSE)
		return CL_INVALID_VALUE;
	if (s->addressing < CL_ADDRESS_NONE || s->addressing > CL_ADDRESS_MIRRORED_REPEAT)
		return CL_INVALID_VALUE;
	// "Can only be used with normalized coordinates."
	if (s->addressing >= CL_ADDRESS_REPEAT && !s->normalized)
		return CL_INVALID_VALUE;
	return s->filter == CL_FILTER_NEAREST || s->filter == CL_FILTER_LINEAR ? CL_SUCCESS
									       : CL_INVALID_VALUE;
}

static cl_int announce(cl_sampler s)
{
	struct p_sampler_create m = { s->o.id, s->context->o.id, s->normalized, s->addressing,
		s->filter };
	cl_int err = send_sampler_create(0, &m, NULL);

	s->o.announced = !err;
	return err;
}

static cl_sampler create(cl_context c, const struct sampler_state *state,
	const cl_sampler_properties *properties, size_t bytes, cl_int *errcode_ret)
{
	LOCKED;
	cl_int err = object_check(c, &context_class);

	if (!err && !device_limits()->images)
		err = CL_INVALID_OPERATION;
	if (!err)
		err = check_state(state);
	cl_sampler s = err ? NULL : object_new(&sampler_class, sizeof *s, true);
	if (!s)
		return refuse(errcode_ret, err ? err : CL_OUT_OF_HOST_MEMORY);
	s->context = c;
	object_ref(c);
	s->normalized = state->normalized;
	s->addressing = state->addressing;
	s->filter = state->filter;
	s->properties_bytes = bytes;
	s->properties = bytes ? malloc(bytes) : NULL;
	if (s->properties)
		memcpy(s->properties, properties, bytes);
	err = bytes && !s->properties ? CL_OUT_OF_HOST_MEMORY : announce(s);
	refuse(errcode_ret, err);
	if (!err)
		return s;
	object_unref(s);
	return NULL;
}

cl_sampler ferry_clCreateSampler(cl_context c, cl_bool normalized, cl_addressing_mode addressing,
	cl_filter_mode filter, cl_int *errcode_ret)
{
	const struct sampler_state state = { normalized, addressing, filter };

	return create(c, &state, NULL, 0, errcode_ret);
}

// False for an unknown name or one that comes twice.
static bool take_property(struct sampler_state *s, unsigned *seen, const cl_sampler_properties *p)
{
	unsigned bit = p[0] >= CL_SAMPLER_NORMALIZED_COORDS && p[0] <= CL_SAMPLER_FILTER_MODE
			       ? 1u << (p[0] - CL_SAMPLER_NORMALIZED_COORDS)
			       : 0;

	if (!bit || *seen & bit)
		return false;
	*seen |= bit;
	if (p[0] == CL_SAMPLER_NORMALIZED_COORDS)
		s->normalized = (cl_bool)p[1];
	else if (p[0] == CL_SAMPLER_ADDRESSING_MODE)
		s->addressing = (cl_addressing_mode)p[1];
	else
		s->filter = (cl_filter_mode)p[1];
	return true;
}

cl_sampler ferry_clCreateSamplerWithProperties(
	cl_context c, const cl_sampler_properties *properties, cl_int *errcode_ret)
{
	struct sampler_state state = { CL_TRUE, CL_ADDRESS_CLAMP, CL_FILTER_NEAREST };
	unsigned seen = 0;
	size_t n = 0;

	for (; properties && properties[n]; n += 2)
		if (!take_property(&state, &seen, properties + n))
			return refuse(errcode_ret, CL_INVALID_VALUE);
	size_t bytes = properties ? (n + 1) * sizeof *properties : 0;
	return create(c, &state, properties, bytes, errcode_ret);
}

cl_int ferry_clRetainSampler(cl_sampler s)
{
	return object_retain(s, &sampler_class);
}

cl_int ferry_clReleaseSampler(cl_sampler s)
{
	return object_release(s, &sampler_class);
}

cl_int ferry_clGetSamplerInfo(
	cl_sampler s, cl_sampler_info param, size_t size, void *value, size_t *size_ret)
{
	static const struct info_row rows[] = {
		INFO_OF(CL_SAMPLER_REFERENCE_COUNT, struct _cl_sampler, o.users),
		INFO_OF(CL_SAMPLER_CONTEXT, struct _cl_sampler, context),
		INFO_OF(CL_SAMPLER_NORMALIZED_COORDS, struct _cl_sampler, normalized),
		INFO_OF(CL_SAMPLER_ADDRESSING_MODE, struct _cl_sampler, addressing),
		INFO_OF(CL_SAMPLER_FILTER_MODE, struct _cl_sampler, filter),
	};
	LOCKED;
	cl_int err = object_check(s, &sampler_class);

	if (err)
		return err;
	if (param == CL_SAMPLER_PROPERTIES)
		return info_value(s->properties, s->properties_bytes, size, value, size_ret);
	return info_get(rows, ARRAY_SIZE(rows), s, param, size, value, size_ret);
}
