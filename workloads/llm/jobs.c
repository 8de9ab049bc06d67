// SPDX-License-Identifier: Apache-2.0
#include "jobs.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DONE "data: [DONE]\n\n"

static double seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void forget(struct job *job)
{
	completion_free(&job->request);
	answer_free(&job->answer);
	bytes_free(&job->text);
	free(job->tokens);
	memset(job, 0, sizeof *job);
}

struct job *jobs_of(struct jobs *j, const struct connection *c)
{
	for (unsigned i = 0; i < MAX_JOBS; i++)
		if (j->jobs[i].connection == c)
			return &j->jobs[i];
	return NULL;
}

int jobs_add(struct jobs *j, struct connection *c, struct completion *request)
{
	struct job *job = jobs_of(j, NULL);

	if (!job)
		return -EBUSY;
	*job = (struct job){
		.connection = c,
		.request = *request,
		.number = ++j->arrived,
		.created = time(NULL),
		.arrived = seconds_now(),
	};
	if (!request->stream) {
		job->tokens = malloc(request->max_tokens * sizeof *job->tokens);
		if (!job->tokens) {
			memset(job, 0, sizeof *job);
			return -ENOMEM;
		}
	}
	job->answer =
		(struct answer){ .tokenizer = j->model->tokenizer, .stops = &job->request.stops };
	memset(request, 0, sizeof *request);
	return 0;
}

void jobs_cancel(struct jobs *j, const struct connection *c)
{
	struct job *job = jobs_of(j, c);

	if (!job)
		return;
	if (job->running)
		scheduler_end(&j->model->scheduler, job->sequence);
	j->full = false;
	forget(job);
}

static struct job *longest_waiting(struct jobs *j)
{
	struct job *best = NULL;

	for (unsigned i = 0; i < MAX_JOBS; i++) {
		struct job *job = &j->jobs[i];

		if (job->connection && !job->running && (!best || job->number < best->number))
			best = job;
	}
	return best;
}

static unsigned count(const struct jobs *j, bool running)
{
	unsigned n = 0;

	for (unsigned i = 0; i < MAX_JOBS; i++)
		n += j->jobs[i].connection && j->jobs[i].running == running;
	return n;
}

unsigned jobs_waiting(const struct jobs *j)
{
	return count(j, false);
}

unsigned jobs_running(const struct jobs *j)
{
	return count(j, true);
}

// Holds back those whose clients do not read, and those who have had their share for now. Returns the
// seconds until the first of these has its next, INFINITY if there is none.
static double hold_back(struct jobs *j)
{
	double now = seconds_now(), wait = INFINITY;

	for (unsigned i = 0; i < MAX_JOBS; i++) {
		const struct job *job = &j->jobs[i];

		if (!job->running)
			continue;
		if (job->next_at > now)
			wait = fmin(wait, job->next_at - now);
		scheduler_pause(&j->model->scheduler, job->sequence,
			job->next_at > now || job->connection->out.len >= CONNECTION_OUT_HIGH);
	}
	return wait;
}

int jobs_wait_ms(struct jobs *j)
{
	double wait = hold_back(j);

	if (scheduler_busy(&j->model->scheduler) || (jobs_waiting(j) && !j->full))
		return 0;
	return wait < INFINITY ? (int)ceil(wait * 1e3) : -1;
}

static struct completion_head head_of(const struct jobs *j, const struct job *job, char id[32])
{
	snprintf(id, 32, "%s-%llu", job->request.chat ? "chatcmpl" : "cmpl",
		(unsigned long long)job->number);
	return (struct completion_head){ id, j->model->name, job->created, job->request.chat };
}

// Starts jobs in the order of their arrival until there is no room for the next.
static int start_waiting(struct jobs *j, struct failure *f)
{
	struct job *job;
	int r = 0;

	while (!r && (job = longest_waiting(j))) {
		const struct completion *c = &job->request;

		r = scheduler_start(&j->model->scheduler, c->prompt, c->n_prompt, c->max_tokens,
			&c->sampling, &job->sequence, f);
		if (r)
			break;
		job->running = true;
		job->cached = j->model->scheduler.sequences[job->sequence].reused;
		j->prompt_tokens += c->n_prompt;
		if (c->stream)
			connection_stream(job->connection, "text/event-stream");
	}
	j->full = r == -EAGAIN;
	return j->full ? 0 : r;
}

// Why the answer ends with this token, or NULL if it goes on.
static const char *finish_of(const struct jobs *j, const struct job *job, int32_t token, bool last)
{
	if (job->answer.stopped || tokenizer_ends(j->model->tokenizer, token))
		return "stop";
	return last ? "length" : NULL;
}

static void send_event(struct jobs *j, struct job *job, int32_t token, const struct bytes *text,
	const char *finish)
{
	struct bytes event = { 0 };
	char id[32];
	struct completion_head head = head_of(j, job, id);

	completion_event(&event, &head, token, job->n_tokens, text, finish);
	connection_piece(job->connection, event.data, event.len);
	bytes_free(&event);
}

// Adds a token to the answer. Returns why it ends there, or NULL.
static const char *emit(struct jobs *j, struct job *job, int32_t token, bool last)
{
	struct bytes text = { 0 }, *out = job->request.stream ? &text : &job->text;
	const char *finish;

	answer_token(&job->answer, token, out);
	finish = finish_of(j, job, token, last);
	if (finish)
		answer_end(&job->answer, out);
	if (job->request.stream)
		send_event(j, job, token, &text, finish);
	else
		job->tokens[job->n_tokens] = token;
	job->n_tokens++;
	bytes_free(&text);
	return finish;
}

static struct completion_usage usage_of(const struct job *job)
{
	return (struct completion_usage){ job->request.n_prompt, job->cached, job->n_tokens };
}

static void finish_stream(struct jobs *j, struct job *job)
{
	struct bytes event = { 0 };
	char id[32];
	struct completion_head head = head_of(j, job, id);
	const struct completion_usage usage = usage_of(job);

	if (job->request.usage)
		completion_usage_event(&event, &head, &usage);
	bytes_add(&event, DONE, sizeof DONE - 1);
	connection_piece(job->connection, event.data, event.len);
	connection_stream_end(job->connection);
	bytes_free(&event);
}

static void finish_whole(struct jobs *j, struct job *job, const char *why)
{
	struct bytes body = { 0 };
	char id[32];
	struct completion_head head = head_of(j, job, id);
	const struct completion_usage usage = usage_of(job);

	completion_body(&body, &head, job->tokens, &usage, &job->text, why);
	connection_reply(job->connection, 200, "application/json", body.data, body.len);
	bytes_free(&body);
}

static void finish(struct jobs *j, struct job *job, const char *why)
{
	if (job->request.stream)
		finish_stream(j, job);
	else
		finish_whole(j, job, why);
	scheduler_end(&j->model->scheduler, job->sequence);
	j->full = false;
	forget(job);
}

static void count_token(struct jobs *j)
{
	double now = seconds_now(), took = now - j->window_started;

	j->tokens_generated++;
	j->window_tokens++;
	if (took < 1)
		return;
	j->tokens_per_second = took < 10 ? (double)j->window_tokens / took : 0;
	j->window_started = now;
	j->window_tokens = 0;
}

double jobs_rate(struct jobs *j)
{
	return seconds_now() - j->window_started < 10 ? j->tokens_per_second : 0;
}

static void take_token(struct jobs *j, const struct scheduled_token *t)
{
	struct job *job = j->jobs;
	const char *why;

	while (!job->running || job->sequence != t->sequence)
		job++;
	if (!job->n_tokens) {
		j->first_tokens++;
		j->first_token_seconds += seconds_now() - job->arrived;
	}
	count_token(j);
	if (j->pace) // steady: a late token does not delay those after it, nor do they make up for a stop
		job->next_at = fmax(job->next_at, seconds_now() - 1.0 / j->pace) + 1.0 / j->pace;
	why = emit(j, job, t->token, t->last);
	if (why)
		finish(j, job, why);
}

int jobs_step(struct jobs *j, struct failure *f)
{
	struct scheduled_token tokens[MAX_SEQUENCES];
	int n = start_waiting(j, f);

	if (n < 0)
		return n;
	n = scheduler_step(&j->model->scheduler, tokens, f);
	for (int i = 0; i < n; i++)
		take_token(j, &tokens[i]);
	return n < 0 ? n : 0;
}

void jobs_free(struct jobs *j)
{
	for (unsigned i = 0; i < MAX_JOBS; i++)
		forget(&j->jobs[i]);
}
