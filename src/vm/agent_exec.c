// SPDX-License-Identifier: Apache-2.0
#include "vm/agent_exec.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

// An idle program is asked ever more seldom.
#define POLL_MIN_NS (5 * NSEC_PER_MSEC)
#define POLL_MAX_NS (200 * NSEC_PER_MSEC)
#define CHUNK_MAX   65536 // more than an agent sends

struct agent_exec {
	struct agent_way way;
	struct agent_exec_handlers handlers;
	void *arg;
	struct agent_job job;
	bool detach, paused, cancelled;
	unsigned busy;
	int64_t request; // under way; 0: none
	int64_t wait_ns;
	struct watch *timer;
};

static void ask_read(void *arg);

static void destroy(struct agent_exec *x)
{
	watch_remove(x->timer);
	free(x);
}

// The agent's copy of the job is not needed any more, or must die.
static void send_end(struct agent_exec *x)
{
	x->way.request(x->way.at, "end", json_pack("{s:s}", "job", x->job.id), 0, NULL, NULL);
}

static void finish(struct agent_exec *x, int status, const struct ferry_error *e)
{
	if (!x->detach && !e)
		send_end(x);
	x->busy++;
	x->handlers.done(x->arg, status, e);
	destroy(x);
}

// Gives one stream's new bytes to the owner. Bytes taken, or -EPROTO. The owner may cancel.
static ssize_t take(struct agent_exec *x, int stream, const json_t *answer)
{
	static const char *const names[] = { "out", "err" };
	uint8_t bytes[CHUNK_MAX];
	const char *text = json_string_or(answer, names[stream - 1], NULL);
	ssize_t n = text ? base64_decode(text, strlen(text), bytes, sizeof bytes) : -EPROTO;

	if (n <= 0)
		return n < 0 ? -EPROTO : 0;
	x->job.taken[stream - 1] += (uint64_t)n;
	if (x->handlers.output)
		x->handlers.output(x->arg, stream, bytes, (size_t)n);
	return n;
}

static void ask_later(struct agent_exec *x, int64_t wait_ns)
{
	x->wait_ns = wait_ns > POLL_MAX_NS ? POLL_MAX_NS : wait_ns;
	watch_set_timer(x->timer, clock_now_ns() + x->wait_ns);
}

// Of a program whose agent cannot be talked with nothing more will be heard.
static void give_up_on(struct agent_exec *x, const char *why)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	ferry_fail(&e, EPROTO, "bad-message", "%s", why);
	send_end(x);
	finish(x, -1, &e);
}

// What the answer to a read means for what comes next.
static void go_on(struct agent_exec *x, const json_t *answer, ssize_t out, ssize_t err)
{
	int64_t status = json_int_or(answer, "exit", -1);

	if (out < 0 || err < 0) {
		give_up_on(x, "the guest's agent answered nonsense");
	} else if (out || err) {
		x->wait_ns = 0;
		ask_read(x);
	} else if (json_bool_or(answer, "running", true)) {
		ask_later(x, x->wait_ns ? 2 * x->wait_ns : POLL_MIN_NS);
	} else if (status < 0 || status > 255) {
		give_up_on(x, "the guest's agent gave no exit status");
	} else {
		finish(x, (int)status, NULL);
	}
}

static void on_read(void *arg, const json_t *answer, const struct ferry_error *e)
{
	struct agent_exec *x = arg;
	ssize_t out = 0, err = 0;

	x->request = 0;
	if (e) {
		finish(x, -1, e);
		return;
	}
	x->busy++;
	out = take(x, 1, answer);
	if (!x->cancelled)
		err = take(x, 2, answer);
	x->busy--;
	if (x->cancelled)
		destroy(x);
	else
		go_on(x, answer, out, err);
}

static void ask_read(void *arg)
{
	struct agent_exec *x = arg;
	struct ferry_error e = FERRY_ERROR_INIT;

	if (x->paused || x->request)
		return;
	int64_t id = x->way.request(x->way.at, "read",
		json_pack("{s:s, s:I, s:I}", "job", x->job.id, "out", (json_int_t)x->job.taken[0],
			"err", (json_int_t)x->job.taken[1]),
		0, on_read, x);
	if (id < 0) {
		ferry_fail(&e, (int)id, "no-memory", "cannot ask the guest's agent");
		finish(x, -1, &e);
		return;
	}
	x->request = id;
}

static void on_started(void *arg, const json_t *answer, const struct ferry_error *e)
{
	struct agent_exec *x = arg;

	x->request = 0;
	if (e || x->detach)
		finish(x, e ? -1 : 0, e);
	else
		ask_read(x);
}

static int send_start(struct agent_exec *x, const struct agent_exec_spec *spec)
{
	json_t *args = json_pack("{s:s, s:O, s:b}", "job", x->job.id, "argv", (json_t *)spec->argv,
		"detach", spec->detach);

	if (args && spec->env)
		json_object_set(args, "env", (json_t *)spec->env);
	if (!args)
		return -EINVAL;
	x->request = x->way.request(x->way.at, "start", args, 0, on_started, x);
	return x->request < 0 ? (int)x->request : 0;
}

static struct agent_exec *exec_new(struct agent_way way, const struct agent_exec_handlers *handlers,
	void *arg, struct ferry_error *e)
{
	struct agent_exec *x = calloc(1, sizeof *x);

	if (x) {
		*x = (struct agent_exec){ .way = way, .handlers = *handlers, .arg = arg };
		x->timer = loop_timer(way.loop, -1, ask_read, x);
	}
	if (x && x->timer)
		return x;
	free(x);
	ferry_fail(e, ENOMEM, "no-memory", "no memory to run a program");
	return NULL;
}

struct agent_exec *agent_exec_start(struct agent_way way, const struct agent_exec_spec *spec,
	const struct agent_exec_handlers *handlers, void *arg, struct ferry_error *e)
{
	uint64_t job = 0;
	struct agent_exec *x = exec_new(way, handlers, arg, e);

	if (!x)
		return NULL;
	x->detach = spec->detach;
	int r = getrandom(&job, sizeof job, 0) == sizeof job ? 0 : -EIO;
	snprintf(x->job.id, sizeof x->job.id, "%016" PRIx64, job);
	if (r == 0)
		r = send_start(x, spec);
	if (r < 0) {
		ferry_fail(e, r, "bad-message", "cannot ask the guest's agent: %s", strerror(-r));
		destroy(x);
		return NULL;
	}
	return x;
}

struct agent_exec *agent_exec_attach(struct agent_way way, const struct agent_job *job,
	const struct agent_exec_handlers *handlers, void *arg, struct ferry_error *e)
{
	struct agent_exec *x = exec_new(way, handlers, arg, e);

	if (x) {
		x->job = *job;
		ask_later(x, 0);
	}
	return x;
}

const struct agent_job *agent_exec_job(const struct agent_exec *x)
{
	return &x->job;
}

void agent_exec_pause(struct agent_exec *x, bool paused)
{
	x->paused = paused;
	if (!paused && !x->request)
		watch_set_timer(x->timer, clock_now_ns());
}

static void give_up(struct agent_exec *x, bool kill)
{
	if (!x || x->cancelled)
		return;
	x->cancelled = true;
	if (x->request > 0)
		x->way.forget(x->way.at, x->request);
	if (kill)
		send_end(x);
	if (!x->busy)
		destroy(x);
}

struct agent_exec *agent_exec_cancel(struct agent_exec *x)
{
	give_up(x, true);
	return NULL;
}

struct agent_exec *agent_exec_leave(struct agent_exec *x)
{
	give_up(x, false);
	return NULL;
}
