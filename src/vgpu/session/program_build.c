// SPDX-License-Identifier: Apache-2.0
// What happens to programs on the worker's thread. A job holds a reference to its program. Device
// handles of programs are made there only, so jobs find what earlier ones have made; the main thread
// uses them where no job can change them.
#include "vgpu/session/port.h"
#include "vgpu/session/program.h"
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
	bool restoring;
	// Results, the main thread's after run.
	int32_t result;
	struct buf body;
	bool executable, from_native;
};

// ---- building

static int32_t create(struct backend *be, struct program *p)
{
	if (p->be)
		return CL_SUCCESS;
	if (p->origin == PROGRAM_BINARY)
		return be->ops->program_binary(be, p->text.data, p->text.len, &p->be);
	return be->ops->program_source(be, (const char *)p->text.data, p->text.len, &p->be);
}

// A header is often never built itself: then it is new to the driver.
static int32_t gather_inputs(struct build *b)
{
	for (uint32_t i = 0; i < b->how.n_inputs; i++) {
		struct program *input = b->p->request.inputs[i];
		int32_t err = b->how.kind == BE_COMPILE ? create(b->be, input) : CL_SUCCESS;
		if (err != CL_SUCCESS)
			return err;
		if (!input->be)
			return CL_INVALID_PROGRAM;
		b->inputs[i] = input->be;
	}
	return CL_SUCCESS;
}

static int32_t build_from_text(struct build *b)
{
	int32_t err = b->how.kind == BE_LINK ? CL_SUCCESS : create(b->be, b->p);

	if (err == CL_SUCCESS)
		err = gather_inputs(b);
	return err == CL_SUCCESS ? b->be->ops->build(b->be, &b->p->be, &b->how) : err;
}

// A native binary needs no compiler; where the driver does not take it, its source does.
static bool restore_native(struct build *b)
{
	struct program *p = b->p;
	const struct backend_ops *ops = b->be->ops;
	struct be_build how = { .kind = BE_BUILD, .options = b->how.options };

	if (!b->restoring || !p->native.len)
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

static void run_build(void *arg)
{
	struct build *b = arg;
	struct program *p = b->p;
	const struct backend_ops *ops = b->be->ops;

	if (b->restoring && p->be) { // as if nothing had been built before
		ops->program_free(p->be);
		p->be = NULL;
	}
	b->from_native = restore_native(b);
	b->result = b->from_native ? CL_SUCCESS : build_from_text(b);
	if (p->be)
		ops->build_result(p->be, &b->body);
	b->executable = is_executable(&b->body);
}

// An incoming program for which better records came meanwhile.
static void build_again(struct program *p)
{
	p->again = false;
	buf_free(&p->native);
	p->native = p->next_native;
	p->next_native = (struct buf){ 0 };
	if (program_start_build(p, &p->next_request, true) < 0)
		p->build_result = CL_OUT_OF_HOST_MEMORY;
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

static void keep_answer(struct build *b)
{
	buf_free(&b->p->restored);
	b->p->restored = b->body;
	b->body = (struct buf){ 0 };
}

void program_own(struct program *p)
{
	give_answer(p, &p->restored);
	buf_free(&p->restored);
}

static void end_build(void *arg)
{
	struct build *b = arg;
	struct program *p = b->p;
	struct session *s = p->o.session;
	struct vgpu *v = s->v;

	p->building = false;
	p->build_result = b->result;
	p->executable = b->executable;
	p->from_native = b->from_native;
	object_touch(&p->o);
	if (b->restoring)
		keep_answer(b);
	else
		give_answer(p, &b->body);
	if (s->over)
		program_forget_request(p);
	else if (p->again)
		build_again(p);
	if (b->restoring && --v->restoring == 0 && v->restored)
		v->restored(v->restored_arg);
	buf_free(&b->body);
	free(b->inputs);
	free(b);
	object_unref(&p->o);
	ports_pump(v);
}

int program_start_build(struct program *p, struct build_request *request, bool restoring)
{
	struct vgpu *v = p->o.session->v;
	struct build *b = calloc(1, sizeof *b);

	if (request != &p->request) {
		build_request_free(&p->request);
		p->request = *request;
		*request = (struct build_request){ 0 };
	}
	if (!b)
		return -ENOMEM;
	b->inputs = calloc(p->request.n_inputs + 1, sizeof(struct be_program *));
	*b = (struct build){ .p = p, .be = v->be, .inputs = b->inputs, .restoring = restoring };
	b->how = (struct be_build){ .kind = p->request.kind,
		.options = p->request.options,
		.inputs = b->inputs,
		.names = (const char *const *)p->request.names,
		.n_inputs = p->request.n_inputs };
	if (!b->inputs || worker_add(v->worker, run_build, end_build, b) < 0) {
		free(b->inputs);
		free(b);
		return -ENOMEM;
	}
	object_ref(&p->o);
	object_touch(&p->o);
	p->building = true;
	p->requested = true;
	p->executable = false;
	if (restoring) {
		v->restoring++;
	} else {
		p->builds++;
		buf_free(&p->native); // of the build before
	}
	return 0;
}
