// SPDX-License-Identifier: Apache-2.0
#include "generate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PROMPT_PIECE 4 // prompt tokens enqueued before the host looks at its clients again

int generate_begin(struct generate *g, struct forward *fw, const int32_t *prompt, uint32_t n,
	uint32_t wanted, struct failure *f)
{
	const struct shape *s = &fw->weights->shape;

	memset(g, 0, sizeof *g);
	if (n == 0 || n > s->context)
		return fail(
			f, EINVAL, "the prompt has %u tokens: 1 to %u are possible", n, s->context);
	for (uint32_t i = 0; i < n; i++)
		if (prompt[i] < 0 || (uint32_t)prompt[i] >= s->vocab)
			return fail(f, EINVAL, "token id %d is outside the vocabulary of %u",
				prompt[i], s->vocab);
	g->prompt = malloc(n * sizeof *prompt);
	if (!g->prompt)
		return fail(f, ENOMEM, "out of host memory");
	memcpy(g->prompt, prompt, n * sizeof *prompt);
	g->forward = fw;
	g->n_prompt = n;
	g->wanted = wanted;
	return forward_begin(fw, g->prompt, n, f);
}

static int wait_for(struct generate *g, unsigned slot, struct failure *f)
{
	cl_int st = clWaitForEvents(1, &g->done[slot]);

	clReleaseEvent(g->done[slot]);
	g->done[slot] = NULL;
	return st ? fail_cl(f, st, "clWaitForEvents") : 0;
}

// All prompt tokens but the last fill the cache only. The read that ends a piece bounds what is
// queued; its value is not a token.
static int feed_piece(struct generate *g, struct failure *f)
{
	int r = 0;

	for (unsigned i = 0; !r && i < PROMPT_PIECE && g->fed + 1 < g->n_prompt; i++, g->fed++)
		r = forward_enqueue(g->forward, false, f);
	if (!r)
		r = forward_read_token(g->forward, &g->landing[0], &g->done[0], f);
	return r ? r : wait_for(g, 0, f);
}

static int enqueue_token(struct generate *g, struct failure *f)
{
	unsigned slot = g->enqueued % GENERATE_AHEAD;
	int r = forward_enqueue(g->forward, true, f);

	if (!r)
		r = forward_read_token(g->forward, &g->landing[slot], &g->done[slot], f);
	if (!r)
		g->enqueued++;
	return r;
}

int generate_step(struct generate *g, int32_t *ret_token, struct failure *f)
{
	unsigned slot = g->taken % GENERATE_AHEAD;
	int r = 0;

	if (g->fed + 1 < g->n_prompt)
		return feed_piece(g, f);
	g->fed = g->n_prompt;
	while (!r && g->enqueued < g->wanted && g->enqueued < g->taken + GENERATE_AHEAD)
		r = enqueue_token(g, f);
	if (!r)
		r = wait_for(g, slot, f);
	if (r)
		return r;
	*ret_token = g->landing[slot];
	g->taken++;
	return 1;
}

bool generate_finished(const struct generate *g)
{
	return g->taken == g->wanted;
}

void generate_end(struct generate *g)
{
	for (unsigned i = 0; i < GENERATE_AHEAD; i++)
		if (g->done[i])
			wait_for(g, i, NULL);
	// The upload of a prompt may still be on its way if no pass followed it.
	if (g->forward && g->taken == 0)
		gpu_finish(g->forward->gpu, NULL);
	free(g->prompt);
	memset(g, 0, sizeof *g);
}
