// SPDX-License-Identifier: Apache-2.0
// Native binaries of programs, taken on the worker's thread: for a move, and where the guest asks.
#include "vgpu/session/port.h"
#include "vgpu/session/program.h"
#include "vgpu/session/seal.h"
#include "vgpu/session/session.h"
#include "vgpu/session/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ORIGIN_CAP  (80u << 20) // bytes of all that a program was made of
#define ORIGIN_COST 256         // of each part, beside its text

struct binary_job {
	struct program *p; // a reference
	struct backend *be;
	size_t shapes;   // the program's, when it began
	uint64_t builds; // the same
	uint32_t seq;
	bool answers; // a guest's query; otherwise for a move
	void (*done)(void *arg);
	void *arg;
	int32_t result;
	struct buf bytes;
	// A copy, since the program may get a newer binary meanwhile.
	struct be_origin from;
	uint64_t copied; // bytes of it
};

void program_origin_free(struct be_origin *o)
{
	for (uint32_t i = 0; i < o->n_inputs; i++) {
		program_origin_free(&o->inputs[i]);
		if (o->names)
			free(o->names[i]);
	}
	free(o->inputs);
	free(o->names);
	free(o->options);
	buf_free(&o->bytes);
}

static void free_binary_job(struct binary_job *j)
{
	buf_free(&j->bytes);
	program_origin_free(&j->from);
	free(j);
}

void program_binary_arrived(struct program *p, uint32_t seq)
{
	struct vgpu *v = p->o.session->v;
	struct p_blob binary = p_blob_of(&p->text);
	bool ours = seal_open(binary, v->be->ops->device(v->be)->key, &binary);

	session_answer(p->o.session, seq, ours ? CL_SUCCESS : CL_INVALID_BINARY, 0);
}

static void run_binary(void *arg)
{
	struct binary_job *j = arg;

	j->result = j->be->ops->program_get_binary(j->be, &j->from, &j->bytes);
}

static void keep_native(struct binary_job *j)
{
	struct program *p = j->p;

	p->taking_native = false;
	if (p->builds != j->builds)
		return; // it is another program by now
	p->native_shapes = j->shapes;
	if (j->result != CL_SUCCESS)
		return;
	buf_free(&p->native);
	p->native = j->bytes;
	j->bytes = (struct buf){ 0 };
	object_touch(&p->o);
}

// The worker's jobs end in their order: it is the first.
static void answer_question(struct binary_job *j)
{
	struct session *s = j->p->o.session;
	_cleanup_buf_ struct buf sealed = { 0 };

	if (j->result == CL_SUCCESS)
		seal_put(&sealed, s->v->be->ops->device(s->v->be)->key, p_blob_of(&j->bytes));
	if (sealed.failed)
		j->result = CL_OUT_OF_HOST_MEMORY;
	if (j->result == CL_SUCCESS)
		session_answer_data(s, j->seq, &sealed);
	session_answer(s, j->seq, j->result, j->result == CL_SUCCESS ? sealed.len : 0);
	buf_consume(&j->p->questions, sizeof j->seq);
	object_touch(&j->p->o);
}

static void end_binary(void *arg)
{
	struct binary_job *j = arg;
	struct vgpu *v = j->p->o.session->v;

	if (j->answers) {
		answer_question(j);
	} else {
		keep_native(j);
	}
	if (j->done)
		j->done(j->arg);
	session_job_ends(j->p->o.session, j->answers, j->copied);
	object_unref(&j->p->o);
	free_binary_job(j);
	ports_pump(v);
}

static int copy_text(struct be_origin *to, struct p_blob text, size_t *room)
{
	if (text.n + ORIGIN_COST > *room)
		return -E2BIG;
	*room -= text.n + ORIGIN_COST;
	if (!to->options)
		to->options = strdup("");
	buf_put(&to->bytes, text.at, text.n);
	return !to->options || to->bytes.failed ? -ENOMEM : 0;
}

static int copy_origin(struct be_origin *to, const struct program *p, unsigned depth, size_t *room);

// Of a header only the text counts, whatever it was compiled with: two programs can be each other's
// headers. A part that came compiled goes in as it came: only what is linked of the very same parts has
// its functions in PoCL's cache.
static int copy_input(
	struct be_origin *to, int kind, const struct program *p, unsigned depth, size_t *room)
{
	*to = (struct be_origin){ .kind = BE_LOAD };
	if (kind == BE_COMPILE)
		return copy_text(to, p_blob_of(&p->text), room);
	if (p->request.kind != BE_COMPILE || !p->native.len)
		return copy_origin(to, p, depth, room);
	to->binary = true;
	return copy_text(to, p_blob_of(&p->native), room);
}

static int copy_inputs(
	struct be_origin *to, const struct build_request *how, unsigned depth, size_t *room)
{
	to->inputs = calloc(how->n_inputs + 1, sizeof *to->inputs);
	to->names = how->names ? calloc(how->n_inputs + 1, sizeof *to->names) : NULL;
	if (!to->inputs || (how->names && !to->names))
		return -ENOMEM;
	for (uint32_t i = 0; i < how->n_inputs; i++) {
		to->n_inputs = i + 1;
		if (to->names && !(to->names[i] = strdup(how->names[i])))
			return -ENOMEM;
		int r = copy_input(&to->inputs[i], how->kind, how->inputs[i], depth, room);
		if (r < 0)
			return r;
	}
	return 0;
}

static int copy_origin(struct be_origin *to, const struct program *p, unsigned depth, size_t *room)
{
	*to = (struct be_origin){ .binary = p->origin == PROGRAM_BINARY,
		.built = p->requested,
		.kind = p->request.kind };
	struct p_blob text = p_blob_of(&p->text);

	if (p->origin == PROGRAM_BINARY && !seal_open(text, NULL, &text))
		text.n = 0; // its build has failed, and so will this
	if (!depth)
		return -E2BIG;
	if (p->request.options && !(to->options = strdup(p->request.options)))
		return -ENOMEM;
	int r = copy_text(to, text, room);
	return r < 0 ? r : copy_inputs(to, &p->request, depth - 1, room);
}

int program_origin_copy(struct be_origin *to, const struct program *p, uint64_t *ret_bytes)
{
	size_t room = ORIGIN_CAP;
	int r = copy_origin(to, p, PROGRAM_DEPTH, &room);

	*ret_bytes = ORIGIN_CAP - room;
	return r;
}

static int start_binary(struct program *p, const struct binary_job *what)
{
	struct vgpu *v = p->o.session->v;
	struct binary_job *j = malloc(sizeof *j);

	if (!j)
		return -ENOMEM;
	*j = *what;
	j->p = p;
	j->be = v->be;
	j->shapes = p->shapes.len / sizeof(uint64_t);
	j->builds = p->builds;
	int r = program_origin_copy(&j->from, p, &j->copied);
	if (r == 0)
		r = worker_add(v->worker, run_binary, end_binary, j);
	if (r < 0) {
		free_binary_job(j);
		return r;
	}
	object_ref(&p->o);
	session_job_begins(p->o.session, j->answers, j->copied);
	return 0;
}

// What the driver made of a binary has no other one, whatever was launched.
static bool has_current_native(const struct program *p)
{
	bool complete = p->native_shapes * sizeof(uint64_t) == p->shapes.len;

	return p->native.len && (complete || p->origin == PROGRAM_BINARY);
}

int program_take_native(struct program *p, void (*done)(void *arg), void *arg)
{
	bool there_is_one = program_is_executable(p) || program_is_compiled(p);

	if (!there_is_one || has_current_native(p) || p->taking_native) {
		done(arg);
		return 0;
	}
	bool full = p->o.session->v->job_bytes >= VGPU_TEXTS_MAX; // with what others are made of
	int r = full ? -E2BIG : start_binary(p, &(struct binary_job){ .done = done, .arg = arg });
	p->taking_native = r == 0;
	if (r != -E2BIG)
		return r;
	done(arg); // it moves as its text
	return 0;
}

int program_query_binary(struct program *p, uint32_t seq)
{
	int r = buf_reserve(&p->questions, sizeof seq) ? program_need(p) : -ENOMEM;

	if (r == 0)
		r = start_binary(p, &(struct binary_job){ .answers = true, .seq = seq });
	if (r == -E2BIG) {
		session_answer(p->o.session, seq, CL_OUT_OF_RESOURCES, 0);
		return 0;
	}
	if (r < 0)
		return r;
	buf_put_u32(&p->questions, seq); // there is room
	object_touch(&p->o);
	return 0;
}
