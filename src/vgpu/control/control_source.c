// SPDX-License-Identifier: Apache-2.0
// The source's side of a move, as the control socket asks for it.
#include "vgpu/control/control_private.h"
#include "vgpu/session/queue.h"

#include "base/log.h"

#include <errno.h>
#include <unistd.h>

static int64_t take_ask(int64_t *ask)
{
	int64_t id = *ask;

	*ask = -1;
	return id;
}

static void refuse_move(struct control *c, const struct ferry_error *e)
{
	control_refuse(c, take_ask(&c->move_ask), e);
}

// ---- object state

static int collect(void *arg, bool final, move_emit_fn emit, void *to, struct ferry_error *e)
{
	struct control *c = arg;

	return state_collect(&c->objects, final, emit, to, e);
}

// The driver's compiler may take seconds for one.
static void on_taking(void *arg, size_t taken, size_t programs)
{
	control_event(arg, "taking",
		json_pack("{s:I, s:I}", "taken", (json_int_t)taken, "programs",
			(json_int_t)programs));
}

static void on_natives(void *arg)
{
	struct control *c = arg;

	c->taking_natives = false;
	if (c->objects.begun)
		c->natives_taken(c);
}

// Then goes on with `then`: at once, or when the driver has given its binaries.
static void take_natives(struct control *c, void (*then)(struct control *c))
{
	struct ferry_error e = FERRY_ERROR_INIT;

	c->natives_taken = then;
	c->taking_natives = true;
	c->objects.taking = on_taking;
	c->objects.taking_arg = c;
	int r = state_source_take_natives(&c->objects, on_natives, c);
	if (r < 0) {
		c->taking_natives = false;
		ferry_fail(&e, r, "no-memory", "no memory to take native binaries");
		refuse_move(c, &e);
	}
}

// ---- beginning and ending

static void on_progress(
	void *arg, uint32_t n, uint64_t bytes, uint64_t total_bytes, double rate_bytes_per_s)
{
	control_event(arg, "progress",
		json_pack("{s:i, s:I, s:I, s:f}", "n", (int)n, "bytes", (json_int_t)bytes,
			"total_bytes", (json_int_t)total_bytes, "rate_bytes_per_s",
			rate_bytes_per_s));
}

static void on_failed(void *arg, const struct ferry_error *e)
{
	log_warn("the move failed: %s", e->message);
	control_event(arg, "failed", json_pack("{s:o}", "error", ferry_error_to_json(e)));
}

static void close_begin_fds(struct control *c)
{
	for (size_t i = 0; i < c->spec.n_fds; i++)
		if (c->begin_fds[i] >= 0)
			close(c->begin_fds[i]);
	c->spec.n_fds = 0;
}

void control_end_move(struct control *c)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	c->source = move_source_abort(c->source);
	close_begin_fds(c);
	state_source_end(&c->objects);
	for (int p = 0; p < POINTS; p++)
		c->faults[p].held = NULL;
	if (c->move_ask < 0)
		return;
	ferry_fail(&e, ECANCELED, "aborted", "the move was ended");
	refuse_move(c, &e);
}

static void on_ahead(void *arg, const struct move_round_result *r, const struct ferry_error *e)
{
	struct control *c = arg;

	if (r)
		control_answer(c, take_ask(&c->move_ask), NULL);
	else
		refuse_move(c, e);
}

// Has no rounds in which object state could go before the stun.
static void send_ahead(struct control *c)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	if (move_source_ahead(c->source, on_ahead, c, &e) < 0)
		refuse_move(c, &e);
}

static void begin(struct control *c)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	c->spec.fds = c->begin_fds;
	int r = move_source_begin(&c->spec, &c->source, &e);
	c->spec.n_fds = 0; // the mover's
	if (r < 0) {
		state_source_end(&c->objects);
		refuse_move(c, &e);
		return;
	}
	if (c->spec.mode == MOVE_STOP_COPY)
		send_ahead(c);
	else
		control_answer(c, take_ask(&c->move_ask), NULL);
}

static int parse_begin(struct control *c, const json_t *args, size_t n_fds, struct ferry_error *e)
{
	char mode[20];
	uint64_t channels = 0, bandwidth = 0;

	if (c->v->shares_memory)
		return ferry_fail(e, EPERM, "local-program",
			"this vGPU belongs to a program of `ferry run`, whose process stays on "
			"this host");
	int r = json_get_string(args, "mode", mode, sizeof mode, e);

	if (r == 0)
		r = json_get_u64(args, "channels", MOVE_MAX_CHANNELS, &channels, e);
	if (r == 0)
		r = json_get_u64(args, "bandwidth_bytes_per_s", INT64_MAX, &bandwidth, e);
	if (r < 0)
		return r;
	if (!channels || channels != n_fds)
		return ferry_fail(e, EINVAL, "bad-message", "%llu channels but %zu descriptors",
			(unsigned long long)channels, n_fds);
	if (c->source || c->objects.begun || c->taking_natives)
		return ferry_fail(e, EBUSY, "bad-state", "a move is under way");
	c->spec = (struct move_source_spec){ .loop = c->v->loop,
		.space = c->v->space,
		.tracker = c->tracker,
		.bandwidth = bandwidth,
		.vm_log = c->vm_log,
		.objects = { .collect = collect, .arg = c },
		.events = { .progress = on_progress, .failed = on_failed, .arg = c } };
	return move_mode_parse(mode, &c->spec.mode, e);
}

void control_move_begin(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	if (parse_begin(c, args, n_fds, &e) < 0) {
		control_refuse(c, id, &e);
		return;
	}
	for (size_t i = 0; i < n_fds; i++) {
		c->begin_fds[i] = fds[i];
		fds[i] = -1;
	}
	c->spec.n_fds = n_fds;
	c->move_ask = id;
	control_end_sample(c);
	state_source_begin(&c->objects, c->v, json_bool_or(args, "binaries", false));
	take_natives(c, begin);
}

void control_move_abort(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds)
{
	control_end_move(c);
	control_open(c, "move.abort");
	control_answer(c, id, NULL);
}

// ---- rounds

static json_t *round_json(const struct control *c, const struct move_round_result *r)
{
	double drain_ms = (double)queues_drain_ns(c->v) / 1e6;

	return json_pack("{s:i, s:I, s:I, s:f, s:I, s:I, s:I, s:I, s:f}", "n", (int)r->n, "bytes",
		(json_int_t)r->bytes, "zero_bytes", (json_int_t)r->zero_bytes, "ms", r->ms,
		"dirty_bytes", (json_int_t)r->dirty_bytes, "object_bytes",
		(json_int_t)r->object_bytes, "pages", (json_int_t)r->pages, "sent_bytes",
		(json_int_t)r->sent_bytes, "drain_ms", drain_ms);
}

static void on_round(void *arg, const struct move_round_result *r, const struct ferry_error *e)
{
	struct control *c = arg;

	if (r)
		control_answer(c, take_ask(&c->move_ask), round_json(c, r));
	else
		refuse_move(c, e);
}

static void start_round(struct control *c)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	if (move_source_round(c->source, c->round, on_round, c, &e) < 0)
		refuse_move(c, &e);
}

static void round_reached(struct control *c, const struct ferry_error *e)
{
	if (e)
		refuse_move(c, e);
	else
		take_natives(c, start_round);
}

static int check_move(struct control *c, struct ferry_error *e)
{
	if (!c->source)
		return ferry_fail(e, EINVAL, "bad-state", "no move has begun");
	if (c->move_ask >= 0 || c->taking_natives)
		return ferry_fail(e, EBUSY, "bad-state", "the move's last request is not over");
	return 0;
}

void control_move_round(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	uint64_t n = 0;

	if (check_move(c, &e) < 0 || json_get_u64(args, "n", UINT32_MAX, &n, &e) < 0) {
		control_refuse(c, id, &e);
		return;
	}
	c->move_ask = id;
	c->round = (uint32_t)n;
	control_reached(c, POINT_ROUND, round_reached);
}

// Also while a round or the final part is under way.
void control_move_rate(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	uint64_t bandwidth = 0;

	if (!c->source)
		ferry_fail(&e, EINVAL, "bad-state", "no move has begun");
	else if (json_get_u64(args, "bandwidth_bytes_per_s", INT64_MAX, &bandwidth, &e) == 0)
		move_source_set_rate(c->source, bandwidth, &e);
	if (e.err)
		control_refuse(c, id, &e);
	else
		control_answer(c, id, NULL);
}

static void on_final(void *arg, const struct move_round_result *r, const struct ferry_error *e)
{
	struct control *c = arg;
	char root[DIGEST_ROOT_TEXT];

	if (!r) {
		refuse_move(c, e);
		return;
	}
	json_t *ok = round_json(c, r);
	digest_root_format(r->root, root);
	json_object_set_new(ok, "root", json_string(root));
	control_answer(c, take_ask(&c->move_ask), ok);
}

static void final_reached(struct control *c, const struct ferry_error *e)
{
	struct ferry_error own = FERRY_ERROR_INIT;

	if (e)
		refuse_move(c, e);
	else if (move_source_final(c->source, on_final, c, &own) < 0)
		refuse_move(c, &own);
}

void control_move_final(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	if (check_move(c, &e) == 0 && c->v->in_flight)
		ferry_fail(&e, EBUSY, "bad-state", "the gate is not drained");
	if (e.err) {
		control_refuse(c, id, &e);
		return;
	}
	c->move_ask = id;
	control_reached(c, POINT_FINAL, final_reached);
}

void control_freeze(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds)
{
	control_end_move(c);
	control_set_state(c, CONTROL_FROZEN, "freeze");
	control_answer(c, id, NULL);
}
