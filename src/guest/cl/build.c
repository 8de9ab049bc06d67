// SPDX-License-Identifier: Apache-2.0
// OpenCL 1.2, sections 5.6.2 and 5.6.3: building, compiling and linking programs.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "guest/cl/device.h"
#include "guest/cl/program.h"
#include "guest/stream/request.h"
#include "guest/stream/send.h"
#include "guest/stream/session.h"

#define BUILD_BODY_MAX (64u << 20)

// A build that is under way. With a callback it frees itself when over.
struct building {
	struct request request; // first
	cl_program program;     // referenced
	struct callback *callback;
};

// What a caller passes besides the program.
struct build_call {
	cl_uint n_devices;
	const cl_device_id *devices;
	const char *options;
	void (*notify)(void);
	void *user_data;
};

static bool has_language(const char *name)
{
	const struct device_limits *l = device_limits();
	unsigned major = 0, minor = 0;
	int n = 0;

	if (sscanf(name, "CL%1u.%1u%n", &major, &minor, &n) < 2 || (name[n] && name[n] != ' '))
		return false;
	for (size_t i = 0; i < l->n_languages; i++)
		if (l->languages[i].version == CL_MAKE_VERSION(major, minor, 0))
			return true;
	return false;
}

// A driver may compile more than the device says: OpenCL C 2.0 has variables of program scope, and
// their values would not move with the vGPU.
static bool has_languages(const char *options)
{
	static const char name[] = "-cl-std=";

	for (const char *at = options; at && (at = strstr(at, name));) {
		at += sizeof name - 1;
		if (!has_language(at))
			return false;
	}
	return true;
}

static cl_int check_call(const struct build_call *a, const struct devices *known)
{
	if (!a->n_devices != !a->devices || (!a->notify && a->user_data))
		return CL_INVALID_VALUE;
	for (cl_uint i = 0; i < a->n_devices; i++) {
		cl_int err = devices_check(known, a->devices[i]);
		if (err)
			return err;
	}
	if (a->options && (strlen(a->options) > PROTO_TEXT_MAX || !has_languages(a->options)))
		return CL_INVALID_BUILD_OPTIONS;
	return CL_SUCCESS;
}

static cl_int check_idle(cl_program p)
{
	cl_int err = object_check(p, &program_class);

	if (err)
		return err;
	return p->attached || p->status == CL_BUILD_IN_PROGRESS ? CL_INVALID_OPERATION : CL_SUCCESS;
}

static void invoke(const struct callback *c)
{
	void(CL_CALLBACK * fn)(cl_program, void *) = (void(CL_CALLBACK *)(cl_program, void *))c->fn;

	fn(c->object, c->user_data);
}

// ---- the end of a build

static void take_result(cl_program p, struct request *r)
{
	struct build *b = r->body.len ? build_parse(&r->body) : NULL;

	if (r->status == CL_SUCCESS && !b)
		r->status = CL_OUT_OF_HOST_MEMORY;
	p->status = r->status == CL_SUCCESS ? CL_BUILD_SUCCESS : CL_BUILD_ERROR;
	if (!b)
		return;
	build_unref(p->build);
	p->build = b;
	if (r->status != CL_SUCCESS)
		p->status = b->status == CL_BUILD_SUCCESS ? CL_BUILD_ERROR : b->status;
}

static struct building *building_free(struct building *b)
{
	buf_free(&b->request.body);
	object_unref(b->program);
	free(b->callback);
	free(b);
	return NULL;
}

static void building_over(struct request *r)
{
	struct building *b = (struct building *)r;

	take_result(b->program, r);
	if (!b->callback)
		return; // somebody waits
	object_ref(b->program);
	callback_queue(b->callback);
	b->callback = NULL;
	building_free(b);
}

// ---- its beginning

static struct building *building_new(cl_program p, const struct build_call *a)
{
	struct building *b = calloc(1, sizeof *b);

	if (!b)
		return NULL;
	b->program = p;
	object_ref(p);
	b->request.body.limit = BUILD_BODY_MAX;
	b->request.done = building_over;
	if (!a->notify)
		return b;
	b->callback = callback_new(invoke, a->notify, p, 0, a->user_data);
	return b->callback ? b : building_free(b);
}

static char *options_of(const struct build_call *a)
{
	return strdup(a->options ? a->options : "");
}

static struct p_blob options_blob(const char *options)
{
	return (struct p_blob){ (const uint8_t *)options, strlen(options) };
}

// The message is sent: waits for its answer, unless the program wants to be called.
static cl_int await(struct building *b, uint32_t seq)
{
	cl_program p = b->program;

	p->status = CL_BUILD_IN_PROGRESS;
	if (b->callback && !callback_expect()) {
		b->callback = (free(b->callback), NULL); // then this call waits
	}
	bool waits = !b->callback;
	request_begin(&b->request, seq);
	if (!waits)
		return session_flush();
	cl_int err = request_wait(&b->request);
	building_free(b);
	return err;
}

// Puts new options in place; what an earlier build left stays until this one is over.
static cl_int prepare(cl_program p, const struct build_call *a, struct building **ret)
{
	char *options = options_of(a);

	cl_int err = options ? program_send_source_anew(p, options) : CL_OUT_OF_HOST_MEMORY;
	*ret = err ? NULL : building_new(p, a);
	if (!*ret) {
		free(options);
		return err ? err : CL_OUT_OF_HOST_MEMORY;
	}
	buf_free(&p->binary);
	free(p->options);
	p->options = options;
	session_send_releases(); // a program with kernels cannot be built
	return CL_SUCCESS;
}

cl_int ferry_clBuildProgram(cl_program p, cl_uint n, const cl_device_id *devices,
	const char *options, void(CL_CALLBACK *notify)(cl_program, void *), void *user_data)
{
	struct build_call a = { n, devices, options, (void (*)(void))notify, user_data };
	struct building *b;
	uint32_t seq;
	LOCKED;
	cl_int err = check_idle(p);

	if (!err)
		err = check_call(&a, &p->devices);
	if (!err && !p->has_source && !p->has_binary) // it was linked
		err = CL_INVALID_OPERATION;
	if (!err)
		err = prepare(p, &a, &b);
	if (err)
		return err;
	struct p_program_build m = { p->o.id, options_blob(p->options) };
	err = send_program_build(0, &m, &seq);
	if (!err)
		return await(b, seq);
	building_free(b);
	return err;
}

// ---- compile

struct headers {
	uint32_t ids[PROTO_INPUTS_MAX];
	struct buf names;
};

static cl_int take_headers(
	struct headers *h, cl_uint n, const cl_program *programs, const char **names)
{
	if ((!n && (programs || names)) || (n && (!programs || !names)))
		return CL_INVALID_VALUE;
	if (n > PROTO_INPUTS_MAX)
		return CL_OUT_OF_RESOURCES;
	for (cl_uint i = 0; i < n; i++) {
		cl_int err = object_check(programs[i], &program_class);
		if (err)
			return err;
		if (!names[i])
			return CL_INVALID_VALUE;
		err = program_send_source(programs[i], NULL);
		if (err)
			return err;
		h->ids[i] = programs[i]->o.id;
		buf_put(&h->names, names[i], strlen(names[i]) + 1);
	}
	return h->names.failed ? CL_OUT_OF_HOST_MEMORY : CL_SUCCESS;
}

static cl_int compile(cl_program p, const struct build_call *a, cl_uint n, const struct headers *h)
{
	struct building *b;
	uint32_t seq;
	cl_int err = prepare(p, a, &b);

	if (err)
		return err;
	struct p_program_compile m = { p->o.id, options_blob(p->options), { .ids = h->ids, .n = n },
		p_blob_of(&h->names) };
	err = send_program_compile(0, &m, &seq);
	if (!err)
		return await(b, seq);
	building_free(b);
	return err;
}

cl_int ferry_clCompileProgram(cl_program p, cl_uint n, const cl_device_id *devices,
	const char *options, cl_uint n_headers, const cl_program *headers, const char **names,
	void(CL_CALLBACK *notify)(cl_program, void *), void *user_data)
{
	struct build_call a = { n, devices, options, (void (*)(void))notify, user_data };
	struct headers h = { .names = { .limit = 8192 } };
	LOCKED;
	cl_int err = check_idle(p);

	if (!err)
		err = check_call(&a, &p->devices);
	if (!err && !p->has_source)
		err = CL_INVALID_OPERATION;
	if (!err)
		err = take_headers(&h, n_headers, headers, names);
	if (!err)
		err = compile(p, &a, n_headers, &h);
	buf_free(&h.names);
	return err == CL_INVALID_BUILD_OPTIONS ? CL_INVALID_COMPILER_OPTIONS : err;
}

// ---- link

static cl_int take_inputs(uint32_t *ids, cl_context c, cl_uint n, const cl_program *inputs)
{
	if (!n || !inputs)
		return CL_INVALID_VALUE;
	if (n > PROTO_INPUTS_MAX)
		return CL_OUT_OF_RESOURCES;
	for (cl_uint i = 0; i < n; i++) {
		cl_int err = object_check(inputs[i], &program_class);
		if (err)
			return err;
		if (inputs[i]->context != c || inputs[i]->status == CL_BUILD_IN_PROGRESS ||
			!(inputs[i]->build || inputs[i]->has_binary))
			return CL_INVALID_OPERATION;
		ids[i] = inputs[i]->o.id;
	}
	return CL_SUCCESS;
}

static cl_int link_program(cl_program p, const struct build_call *a, cl_uint n, const uint32_t *ids)
{
	struct building *b;
	uint32_t seq;
	cl_int err = prepare(p, a, &b);

	if (err)
		return err;
	struct p_program_link m = { p->o.id, p->context->o.id, options_blob(p->options),
		{ .ids = ids, .n = n } };
	err = send_program_link(0, &m, &seq);
	if (err) {
		building_free(b);
		return err;
	}
	p->o.announced = true;
	return await(b, seq);
}

cl_program ferry_clLinkProgram(cl_context c, cl_uint n, const cl_device_id *devices,
	const char *options, cl_uint n_inputs, const cl_program *inputs,
	void(CL_CALLBACK *notify)(cl_program, void *), void *user_data, cl_int *errcode_ret)
{
	struct build_call a = { n, devices, options, (void (*)(void))notify, user_data };
	uint32_t ids[PROTO_INPUTS_MAX];
	LOCKED;
	cl_int err = object_check(c, &context_class);

	if (!err)
		err = check_call(&a, &c->devices);
	if (!err)
		err = take_inputs(ids, c, n_inputs, inputs);
	cl_program p = err ? NULL : program_new(c);
	if (!err)
		err = p ? link_program(p, &a, n_inputs, ids) : CL_OUT_OF_HOST_MEMORY;
	refuse(errcode_ret, err == CL_INVALID_BUILD_OPTIONS ? CL_INVALID_LINKER_OPTIONS : err);
	if (!err || err == CL_LINK_PROGRAM_FAILURE) // that could begin: there is a log to read
		return p;
	object_unref(p);
	return NULL;
}
