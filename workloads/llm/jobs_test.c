// SPDX-License-Identifier: Apache-2.0
// Paced jobs: how long until there is something to do.
#include <string.h>
#include <time.h>

#include "check.h"
#include "jobs.h"
#include "testmodel.h"

static const struct shape tiny = { .dim = 64,
	.layers = 1,
	.heads = 4,
	.kv_heads = 1,
	.head_dim = 16,
	.hidden = 224,
	.vocab = 256,
	.context = 64,
	.cache_slots = 160,
	.norm_eps = 1e-5f };

static struct model model;
static struct jobs jobs = { .model = &model };
static struct connection client = { .fd = 1 };

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

// One request of many tokens, and its first ones, until it has had its share: for how many ms. (The first steps
// take long; all of them must take less than a token's share.)
static int begin(uint32_t pace)
{
	struct failure f = { "" };
	struct completion request = { .n_prompt = 3, .max_tokens = 60 };

	request.prompt = calloc(request.n_prompt, sizeof *request.prompt);
	CHECK(request.prompt);
	jobs.pace = pace;
	CHECK(jobs_add(&jobs, &client, &request) == 0);
	int wait;
	while (!(wait = jobs_wait_ms(&jobs)))
		need(jobs_step(&jobs, &f), &f);
	CHECK(jobs_running(&jobs) == 1);
	return wait;
}

static void test_a_paced_job_waits(void)
{
	int wait = begin(4);

	CHECK(wait > 0 && wait <= 500);
	sleep_ms(wait + 10);
	CHECK(jobs_wait_ms(&jobs) == 0);
	jobs_cancel(&jobs, &client);
	CHECK(jobs_wait_ms(&jobs) == -1);
}

static void test_time_does_not_make_a_client_read(void)
{
	int wait = begin(4);

	client.out.len = CONNECTION_OUT_HIGH;
	sleep_ms(wait + 10);
	CHECK(jobs_wait_ms(&jobs) == -1);
	client.out.len = 0;
	CHECK(jobs_wait_ms(&jobs) == 0);
	jobs_cancel(&jobs, &client);
}

int main(void)
{
	testmodel_load(&model, &tiny, WEIGHT_Q8_0, 3);
	RUN(test_a_paced_job_waits);
	RUN(test_time_does_not_make_a_client_read);
	jobs_free(&jobs);
	model_free(&model);
	return 0;
}
