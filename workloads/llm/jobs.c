// SPDX-License-Identifier: Apache-2.0
#include "jobs.h"

#include <errno.h>
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
		.connection = c, .request = *request, .number = ++j->arrived, .created = time(NULL)
	};
	if (!request->stream) {
		job->tokens = malloc(request->max_tokens * sizeof *job->tokens);
		if (!job->tokens) {
			memset(job, 0, sizeof *job);
			return -ENOMEM;
		}
	}
	memset(request, 0, sizeof *request);
	return 0;
}

void jobs_cancel(struct jobs *j, const struct connection *c)
{
	struct job *job = jobs_of(j, c);

	if (!job)
		return;
	if (job == j->running) {
		generate_end(&j->generate);
		j->running = NULL;
	}
	forget(job);
}

static struct job *longest_waiting(struct jobs *j)
{
	struct job *best = NULL;

	for (unsigned i = 0; i < MAX_JOBS; i++) {
		struct job *job = &j->jobs[i];

		if (job->connection && job != j->running && (!best || job->number < best->number))
			best = job;
	}
	return best;
}

unsigned jobs_waiting(const struct jobs *j)
{
	unsigned n = 0;

	for (unsigned i = 0; i < MAX_JOBS; i++)
		n += j->jobs[i].connection && &j->jobs[i] != j->running;
	return n;
}

bool jobs_ready(const struct jobs *j)
{
	if (j->running)
		return j->running->connection->out.len < CONNECTION_OUT_HIGH;
	return jobs_waiting(j) > 0;
}

static struct completion_head head_of(const struct jobs *j, const struct job *job, char id[32])
{
	snprintf(id, 32, "cmpl-%llu", (unsigned long long)job->number);
	return (struct completion_head){ id, j->model->name, job->created };
}

static int start(struct jobs *j, struct job *job, struct failure *f)
{
	int r = generate_begin(&j->generate, &j->model->forward, job->request.prompt,
		job->request.n_prompt, job->request.max_tokens, f);

	if (r)
		return r;
	j->running = job;
	if (job->request.stream)
		connection_stream(job->connection, "text/event-stream");
	return 0;
}

static void emit(struct jobs *j, struct job *job, int32_t token)
{
	uint32_t index = job->n_tokens++;
	struct bytes event = { 0 };
	struct completion_head head;
	char id[32];

	if (!job->request.stream) {
		job->tokens[index] = token;
		return;
	}
	head = head_of(j, job, id);
	completion_event(&event, &head, token, index, job->n_tokens == job->request.max_tokens);
	connection_piece(job->connection, event.data, event.len);
	bytes_free(&event);
}

static void finish(struct jobs *j, struct job *job)
{
	struct completion_head head;
	struct bytes body = { 0 };
	char id[32];

	if (job->request.stream) {
		connection_piece(job->connection, DONE, sizeof DONE - 1);
		connection_stream_end(job->connection);
	} else {
		head = head_of(j, job, id);
		completion_body(&body, &head, job->tokens, job->n_tokens, job->request.n_prompt);
		connection_reply(job->connection, 200, "application/json", body.data, body.len);
		bytes_free(&body);
	}
	generate_end(&j->generate);
	j->running = NULL;
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

int jobs_step(struct jobs *j, struct failure *f)
{
	struct job *job = j->running ? j->running : longest_waiting(j);
	uint32_t fed = j->generate.fed;
	int32_t token;
	int r = 0;

	if (!job)
		return 0;
	if (!j->running) {
		r = start(j, job, f);
		fed = 0;
	}
	if (!r)
		r = generate_step(&j->generate, &token, f);
	if (r < 0)
		return r;
	j->prompt_tokens += j->generate.fed - fed;
	if (r == 0)
		return 0;
	count_token(j);
	emit(j, job, token);
	if (generate_finished(&j->generate))
		finish(j, job);
	return 0;
}

void jobs_free(struct jobs *j)
{
	generate_end(&j->generate);
	for (unsigned i = 0; i < MAX_JOBS; i++)
		forget(&j->jobs[i]);
}
