// SPDX-License-Identifier: Apache-2.0
// The learning rate of each step: up in a line, down in a cosine, and in a line at the end.
#include <math.h>
#include <stdbool.h>

#include "check.h"
#include "trainer.h"

static struct recipe recipe(void)
{
	struct recipe r = RECIPE_DEFAULT;

	r.steps = r.cosine = 1000;
	r.warmup = 100;
	r.rate = 0.5f;
	r.final_rate = 0.1f;
	return r;
}

static bool near(float a, double b)
{
	return fabs((double)a - b) < 1e-6;
}

static void test_warm_up_and_cosine(void)
{
	struct recipe r = recipe();

	CHECK(near(trainer_rate(&r, 1), 0.005) && near(trainer_rate(&r, 100), 0.5));
	CHECK(near(trainer_rate(&r, 550), 0.3)); // half way
	CHECK(near(trainer_rate(&r, 1000), 0.1));
	for (uint64_t i = 101; i <= 1000; i++)
		CHECK(trainer_rate(&r, i) < trainer_rate(&r, i - 1));
}

static void test_cooldown_leaves_the_steps_before_it_as_they_are(void)
{
	struct recipe whole = recipe(), cut = recipe();

	cut.steps = 600;
	cut.cooldown = 200;
	for (uint64_t i = 1; i <= 400; i++)
		CHECK(trainer_rate(&cut, i) == trainer_rate(&whole, i));
	CHECK(near(trainer_rate(&cut, 500), ((double)trainer_rate(&whole, 400) + 0.1) / 2));
	CHECK(near(trainer_rate(&cut, 600), 0.1));
}

static void test_edges(void)
{
	struct recipe r = recipe();

	r.warmup = 2000; // longer than the run
	CHECK(near(trainer_rate(&r, 1), 0.5 / 2000));
	r.warmup = r.cosine = r.cooldown = 1;
	r.steps = 1;
	CHECK(near(trainer_rate(&r, 1), 0.1));
}

int main(void)
{
	RUN(test_warm_up_and_cosine);
	RUN(test_cooldown_leaves_the_steps_before_it_as_they_are);
	RUN(test_edges);
	return 0;
}
