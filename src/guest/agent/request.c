// SPDX-License-Identifier: Apache-2.0
#include "guest/agent/request.h"
#include "base/base64.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

// Strings of a JSON array or "NAME=value" of a JSON object, NULL-terminated.
struct strings {
	const char *v[JOB_ARGS_MAX + 1];
	char *owned[JOB_ENV_MAX];
	size_t n_owned;
};

static void free_strings(struct strings *s)
{
	while (s->n_owned)
		free(s->owned[--s->n_owned]);
}

static int read_argv(const json_t *args, struct strings *ret, struct ferry_error *e)
{
	const json_t *argv = json_object_get(args, "argv"), *one;
	size_t i, n = json_array_size(argv);

	if (!n || n > JOB_ARGS_MAX)
		return ferry_fail(
			e, EINVAL, "bad-message", "argv is not 1 to %d strings", JOB_ARGS_MAX);
	json_array_foreach(argv, i, one)
	{
		ret->v[i] = json_string_value(one);
		if (!ret->v[i])
			return ferry_fail(
				e, EINVAL, "bad-message", "argv is not an array of strings");
	}
	return 0;
}

static int read_env(json_t *args, struct strings *ret, struct ferry_error *e)
{
	json_t *env = json_object_get(args, "env"), *value;
	const char *name;

	if (env && (!json_is_object(env) || json_object_size(env) > JOB_ENV_MAX))
		return ferry_fail(
			e, EINVAL, "bad-message", "env is not up to %d variables", JOB_ENV_MAX);
	json_object_foreach(env, name, value)
	{
		if (!*name || strchr(name, '=') || !json_is_string(value))
			return ferry_fail(e, EINVAL, "bad-message", "env is not names and strings");
		char *text = NULL;
		if (asprintf(&text, "%s=%s", name, json_string_value(value)) < 0)
			return ferry_fail(e, ENOMEM, "no-memory", "no memory for a variable");
		ret->v[ret->n_owned] = ret->owned[ret->n_owned] = text;
		ret->n_owned++;
	}
	return 0;
}

static int read_id(const json_t *args, char ret[17], struct ferry_error *e)
{
	int r = json_get_string(args, "job", ret, 17, e);

	if (!r && (strlen(ret) != 16 || strspn(ret, "0123456789abcdef") != 16))
		return ferry_fail(e, EINVAL, "bad-message", "job is not 16 hex digits");
	return r;
}

static int find_job(struct jobs *jobs, const json_t *args, struct job **ret, struct ferry_error *e)
{
	char id[17];
	int r = read_id(args, id, e);

	if (r < 0)
		return r;
	*ret = jobs_find(jobs, id);
	return *ret ? 0 : ferry_fail(e, ENOENT, "no-job", "there is no job %s", id);
}

static int op_start(struct jobs *jobs, json_t *args, json_t *answer, struct ferry_error *e)
{
	struct strings argv = { 0 }, env = { 0 };
	char id[17];
	int r = read_id(args, id, e);

	if (!r)
		r = read_argv(args, &argv, e);
	if (!r)
		r = read_env(args, &env, e);
	struct job_spec spec = { .id = id,
		.argv = argv.v,
		.env = env.v,
		.input = json_bool_or(args, "input", false),
		.detach = json_bool_or(args, "detach", false) };
	if (!r)
		r = jobs_start(jobs, &spec, e);
	free_strings(&env);
	return r;
}

static int put_output(struct stream *s, const json_t *args, const char *name, json_t *answer,
	struct ferry_error *e)
{
	uint64_t offset = 0;
	const uint8_t *at;
	size_t n;

	int r = json_get_u64(args, name, INT64_MAX, &offset, e);
	if (r < 0)
		return r;
	r = stream_read(s, offset, AGENT_CHUNK, &at, &n);
	if (r < 0)
		return ferry_fail(e, r, "bad-offset", "%s has bytes from %llu on, not from %llu",
			name, (unsigned long long)s->base, (unsigned long long)offset);
	_cleanup_free_ char *text = base64_encode_new(at, n);
	if (!text)
		return ferry_fail(e, ENOMEM, "no-memory", "no memory for an answer");
	json_object_set_new(answer, name, json_string(text));
	return 0;
}

static int op_read(struct jobs *jobs, json_t *args, json_t *answer, struct ferry_error *e)
{
	struct job *job;
	int r = find_job(jobs, args, &job, e);

	if (!r)
		r = put_output(&job->out, args, "out", answer, e);
	if (!r)
		r = put_output(&job->err, args, "err", answer, e);
	if (r < 0)
		return r;
	json_object_set_new(answer, "running", json_boolean(job_running(job)));
	if (!job_running(job))
		json_object_set_new(answer, "exit", json_integer(job->status));
	return 0;
}

static int op_write(struct jobs *jobs, json_t *args, json_t *answer, struct ferry_error *e)
{
	uint8_t bytes[STREAM_IN_MAX];
	struct job *job;
	uint64_t offset = 0, next = 0;
	const char *data = json_string_or(args, "data", "");
	int r = find_job(jobs, args, &job, e);

	if (!r)
		r = json_get_u64(args, "offset", INT64_MAX, &offset, e);
	if (r < 0)
		return r;
	ssize_t n = base64_decode(data, strlen(data), bytes, sizeof bytes);
	if (n < 0)
		return ferry_fail(e, (int)n, "bad-message", "data is not base64 of up to 64 KiB");
	r = stream_write(&job->in, offset, bytes, (size_t)n, &next);
	if (r < 0)
		return ferry_fail(
			e, r, "bad-offset", "the job takes no input there: %s", strerror(-r));
	if (json_bool_or(args, "end", false) && next >= offset + (uint64_t)n)
		stream_write_end(&job->in);
	json_object_set_new(answer, "offset", json_integer((json_int_t)next));
	return 0;
}

static int op_signal(struct jobs *jobs, json_t *args, json_t *answer, struct ferry_error *e)
{
	struct job *job;
	uint64_t signo = 0, request = 0;
	int r = find_job(jobs, args, &job, e);

	if (!r)
		r = json_get_u64(args, "signo", SIGRTMAX, &signo, e);
	if (!r)
		r = json_get_u64(args, "id", INT64_MAX, &request, e);
	if (r < 0 || job->last_signal_request == (int64_t)request) // asked again: sent before
		return r;
	job->last_signal_request = (int64_t)request;
	r = job_signal(job, (int)signo);
	return r < 0 ? ferry_fail(e, r, "signal", "cannot signal the job: %s", strerror(-r)) : 0;
}

static int op_end(struct jobs *jobs, json_t *args, json_t *answer, struct ferry_error *e)
{
	char id[17];
	int r = read_id(args, id, e);
	struct job *job = r ? NULL : jobs_find(jobs, id);

	if (job)
		job_end(job);
	return r;
}

static int op_ping(struct jobs *jobs, json_t *args, json_t *answer, struct ferry_error *e)
{
	json_object_set_new(answer, "version", json_integer(AGENT_VERSION));
	json_object_set_new(answer, "uptime_ms", json_integer(clock_now_ns() / NSEC_PER_MSEC));
	return 0;
}

static const struct {
	const char *name;
	int (*fn)(struct jobs *jobs, json_t *args, json_t *answer, struct ferry_error *e);
} ops[] = { { "start", op_start }, { "read", op_read }, { "write", op_write },
	{ "signal", op_signal }, { "end", op_end }, { "ping", op_ping } };

static int dispatch(struct jobs *jobs, json_t *request, json_t *answer, struct ferry_error *e)
{
	const char *op = json_string_or(request, "op", "");

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		if (!strcmp(ops[i].name, op))
			return ops[i].fn(jobs, request, answer, e);
	return ferry_fail(e, EINVAL, "unknown-op", "the agent has no operation '%.40s'", op);
}

void agent_request(struct jobs *jobs, const char *line, size_t n, struct buf *out)
{
	_cleanup_json_ json_t *request = json_parse(line, n, "a request", NULL);
	struct ferry_error e = FERRY_ERROR_INIT;
	json_t *id = json_object_get(request, "id");

	if (!json_is_integer(id))
		return;
	_cleanup_json_ json_t *answer = json_pack("{s:O}", "id", id);
	if (dispatch(jobs, request, answer, &e) < 0)
		json_object_set_new(answer, "error", ferry_error_to_json(&e));
	_cleanup_free_ char *text = json_dumps(answer, JSON_COMPACT);
	if (!text)
		return;
	buf_put(out, text, strlen(text));
	buf_put(out, "\n", 1);
}
