// SPDX-License-Identifier: Apache-2.0
// What happens to programs on the worker's thread. A job holds a reference to its program. Device
// handles of programs are made there only, so jobs find what earlier ones have made; the main thread
// uses them where no job can change them.
#include "vgpu/session/port.h"
#include "vgpu/session/program.h"
#include "vgpu/session/seal.h"
#include "vgpu/session/session.h"
#include "vgpu/session/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct build {
	struct program *p; // a reference
	struct backend *be;
	struct be_build how;
	struct be_program **inputs;
	enum build_purpose purpose;
	bool may_lack; // of that origin
	struct be_origin origin;
	uint64_t copied;    // bytes of that
	bool without_parts; // they may not be compiled: it is made of its native binary, or not yet
	// Results, the main thread's after run.
	int32_t result;
	struct buf body;
	bool executable, from_native;
};

// ---- building

static int32_t create(struct backend *be, struct program *p)
{
	struct p_blob binary = p_blob_of(&p->text);

	if (p->be)
		return CL_SUCCESS;
	if (p->origin == PROGRAM_BINARY && !seal_open(binary, NULL, &binary))
		return CL_INVALID_BINARY;
	if (p->origin == PROGRAM_BINARY)
		return be->ops->program_binary(be, binary.at, binary.n, &p->be);
	return be->ops->program_source(be, (const char *)p->text.data, p->text.len, &p->be);
}

// A header is often never built itself, nor is a part that came as a binary: then it is new to the driver.
static int32_t gather_inputs(struct build *b)
{
	for (uint32_t i = 0; i < b->how.n_inputs; i++) {
		struct program *input = b->p->request.inputs[i];
		bool is_new = b->how.kind == BE_COMPILE || input->origin == PROGRAM_BINARY;
		int32_t err = is_new ? create(b->be, input) : CL_SUCCESS;
		if (err != CL_SUCCESS)
			return err;
		if (!input->be)
			return CL_INVALID_PROGRAM;
		b->inputs[i] = input->be;
	}
	return CL_SUCCESS;
}

// The driver may build a program of a binary only once: PoCL 3.1 ends the process the second time.
static void forget_binary(struct backend *be, struct program *p)
{
	if (p->origin != PROGRAM_BINARY || !p->be)
		return;
	be->ops->program_free(p->be);
	p->be = NULL;
}

static int32_t build_from_text(struct build *b)
{
	forget_binary(b->be, b->p);
	int32_t err = b->how.kind == BE_LINK ? CL_SUCCESS : create(b->be, b->p);

	if (err == CL_SUCCESS)
		err = gather_inputs(b);
	return err == CL_SUCCESS ? b->be->ops->build(b->be, &b->p->be, &b->how) : err;
}

static bool has_native(const struct program *p, enum build_purpose purpose)
{
	return purpose != BUILD_ASKED && p->native.len;
}

// A native binary needs no compiler; where the driver does not take it, its source does.
static bool restore_native(struct build *b)
{
	struct program *p = b->p;
	const struct backend_ops *ops = b->be->ops;
	struct be_build how = { .kind = b->how.kind == BE_COMPILE ? BE_LOAD : BE_BUILD,
		.options = b->how.options };

	if (!has_native(p, b->purpose))
		return false;
	if (ops->program_binary(b->be, p->native.data, p->native.len, &p->be) == CL_SUCCESS &&
		ops->build(b->be, &p->be, &how) == CL_SUCCESS)
		return true;
	if (p->be)
		ops->program_free(p->be);
	p->be = NULL;
	return false;
}

static bool is_executable(const struct buf *body)
{
	struct rd r = rd_make(body->data, body->len);
	struct p_build_result m;

	return p_get_build_result_item(&r, &m) == 0 && m.build_status == CL_BUILD_SUCCESS &&
	       m.binary_type == CL_PROGRAM_BINARY_TYPE_EXECUTABLE;
}

// The answer where nobody defines `name`: the specification's error, and a log that says which.
static void put_failure(struct build *b, struct buf *name)
{
	static const char why[] =
		": declared, but neither this program nor the driver defines it\n";
	_cleanup_buf_ struct buf log = { 0 };

	buf_put(&log, "error: undefined function ", strlen("error: undefined function "));
	buf_put(&log, name->data, name->len);
	buf_put(&log, why, sizeof why - 1);
	struct p_build_result m = { .build_status = CL_BUILD_ERROR, .log = p_blob_of(&log) };
	buf_reset(&b->body);
	p_put_build_result_item(&b->body, &m);
	b->result = b->how.kind == BE_LINK ? CL_LINK_PROGRAM_FAILURE : CL_BUILD_PROGRAM_FAILURE;
	b->executable = false;
}

static void check_functions(struct build *b)
{
	_cleanup_buf_ struct buf name = { 0 };

	if (!b->executable || !b->may_lack || b->from_native)
		return;
	b->be->ops->program_lacks(b->be, &b->origin, &name);
	if (name.len)
		put_failure(b, &name);
}

static void run_build(void *arg)
{
	struct build *b = arg;
	struct program *p = b->p;
	const struct backend_ops *ops = b->be->ops;

	if (b->purpose != BUILD_ASKED && p->be) { // as if nothing had been built before
		ops->program_free(p->be);
		p->be = NULL;
	}
	b->from_native = restore_native(b);
	if (!b->from_native && b->without_parts)
		return;
	b->result = b->from_native ? CL_SUCCESS : build_from_text(b);
	if (p->be)
		ops->build_result(p->be, &b->body);
	b->executable = is_executable(&b->body);
	check_functions(b);
}

static void give_answer(struct program *p, const struct buf *body)
{
	struct session *s = p->o.session;

	if (!p->wants_answer)
		return;
	p->wants_answer = false;
	session_answer_data(s, p->answer_seq, body);
	session_answer(s, p->answer_seq, p->build_result, body->len);
}

static void start_or_fail(
	struct program *p, struct build_request *request, enum build_purpose purpose)
{
	const struct buf nothing = { 0 };

	if (program_start_build(p, request, purpose) == 0)
		return;
	p->build_result = CL_OUT_OF_HOST_MEMORY;
	if (purpose == BUILD_ASKED)
		give_answer(p, &nothing);
}

// What was asked for meanwhile.
static void build_again(struct program *p)
{
	p->again = false;
	buf_free(&p->native);
	p->native = p->next_native;
	p->next_native = (struct buf){ 0 };
	start_or_fail(p, &p->next_request, p->next_purpose);
}

// The driver does not take its native binary.
static void build_from_parts(struct program *p)
{
	start_or_fail(p, &p->request, BUILD_INCOMING);
}

static void keep_answer(struct build *b)
{
	buf_free(&b->p->restored);
	b->p->restored = b->body;
	b->body = (struct buf){ 0 };
}

void program_own(struct program *p)
{
	_cleanup_buf_ struct buf questions = p->questions;
	struct rd r = rd_make(questions.data, questions.len);

	give_answer(p, &p->restored);
	buf_free(&p->restored);
	p->questions = (struct buf){ 0 };
	while (r.left) {
		uint32_t seq = rd_u32(&r);
		if (program_query_binary(p, seq) < 0)
			session_answer(p->o.session, seq, CL_OUT_OF_HOST_MEMORY, 0);
	}
}

static void free_build(struct build *b)
{
	program_origin_free(&b->origin);
	buf_free(&b->body);
	free(b->inputs);
	free(b);
}

static void tell_restored(struct vgpu *v)
{
	if (v->restored)
		v->restored(v->restored_arg);
}

// Not where another build of it follows.
static void note_not_rebuilt(const struct build *b)
{
	const struct program *p = b->p;

	if (p->was_executable && !p->executable && !p->building)
		p->o.session->v->not_rebuilt = b->result ? b->result : CL_BUILD_PROGRAM_FAILURE;
}

static void end_build(void *arg)
{
	struct build *b = arg;
	struct program *p = b->p;
	struct session *s = p->o.session;
	struct vgpu *v = s->v;

	session_job_ends(s, b->purpose == BUILD_ASKED, b->copied);
	p->building = p->deferred = false;
	p->build_result = b->result;
	p->executable = b->executable;
	if (!b->from_native && !p->again)
		program_forget_native(p);
	object_touch(&p->o);
	if (b->purpose == BUILD_INCOMING)
		keep_answer(b);
	else if (b->purpose == BUILD_ASKED)
		give_answer(p, &b->body);
	if (s->over)
		program_forget_request(p);
	else if (p->again)
		build_again(p);
	else if (b->without_parts && !b->from_native)
		build_from_parts(p);
	if (b->purpose == BUILD_INCOMING) {
		note_not_rebuilt(b);
		v->restoring--;
		v->built++;
		tell_restored(v);
	}
	free_build(b);
	object_unref(&p->o);
	ports_pump(v);
}

static void take_request(struct build_request *to, struct build_request *from)
{
	if (to == from)
		return;
	build_request_free(to);
	*to = *from;
	*from = (struct build_request){ 0 };
}

// Lets a deferred program be compiled: jobs that come after that find it built.
static int need(struct program *p, enum build_purpose purpose)
{
	if (!p->deferred || p->building)
		return 0;
	int r = program_start_build(p, &p->request, purpose);
	if (r == 0)
		p->deferred = true;
	return r;
}

static int need_parts(const struct build_request *request, enum build_purpose purpose)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < request->n_inputs; i++)
		r = need(request->inputs[i], purpose == BUILD_ASKED ? BUILD_LATE : purpose);
	return r;
}

int program_need(struct program *p)
{
	return need(p, BUILD_LATE);
}

void program_defer_build(struct program *p, struct build_request *request, int32_t result)
{
	take_request(&p->request, request);
	p->build_result = result;
	p->requested = p->deferred = true;
	p->executable = false;
}

static int start_later(struct program *p, struct build_request *request, enum build_purpose purpose)
{
	take_request(&p->next_request, request);
	p->next_purpose = purpose;
	p->again = true;
	object_touch(&p->o);
	return 0;
}

// Of p->request.
static struct build *new_build(struct program *p, enum build_purpose purpose)
{
	struct build *b = calloc(1, sizeof *b);
	struct be_program **inputs = calloc(p->request.n_inputs + 1, sizeof(struct be_program *));

	if (!b || !inputs) {
		free(b);
		free(inputs);
		return NULL;
	}
	*b = (struct build){
		.p = p, .be = p->o.session->v->be, .inputs = inputs, .purpose = purpose
	};
	b->how = (struct be_build){ .kind = p->request.kind,
		.options = p->request.options,
		.inputs = inputs,
		.names = (const char *const *)p->request.names,
		.n_inputs = p->request.n_inputs };
	b->may_lack = p->request.kind != BE_COMPILE && program_may_lack(p);
	int r = b->may_lack ? program_origin_copy(&b->origin, p, &b->copied) : 0;
	if (r == -ENOMEM) {
		free_build(b);
		return NULL;
	}
	b->may_lack = b->may_lack && r == 0;
	b->origin.built = true;
	return b;
}

int program_start_build(
	struct program *p, struct build_request *request, enum build_purpose purpose)
{
	if (p->building)
		return start_later(p, request, purpose);
	struct vgpu *v = p->o.session->v;
	bool links = request->kind == BE_LINK, without_parts = links && has_native(p, purpose);

	take_request(&p->request, request);
	p->says = 0;
	if (links && !without_parts && need_parts(&p->request, purpose) < 0)
		return -ENOMEM;
	struct build *b = new_build(p, purpose);
	if (!b)
		return -ENOMEM;
	b->without_parts = without_parts;
	if (worker_add(v->worker, run_build, end_build, b) < 0) {
		free_build(b);
		return -ENOMEM;
	}
	object_ref(&p->o);
	object_touch(&p->o);
	session_job_begins(p->o.session, purpose == BUILD_ASKED, b->copied);
	p->building = true;
	p->requested = true;
	p->executable = p->deferred = false;
	if (purpose == BUILD_INCOMING) {
		v->restoring++;
		tell_restored(v);
	}
	if (purpose == BUILD_ASKED)
		program_forget_native(p);
	return 0;
}
