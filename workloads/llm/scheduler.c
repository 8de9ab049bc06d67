// SPDX-License-Identifier: Apache-2.0
#include "scheduler.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PROMPT_ROWS_BESIDE 8 // prompt tokens in a pass while others generate: they wait for it
#define REUSE_MIN          8 // tokens in common that make a warm sequence worth taking over

static const struct shape *shape_of(const struct scheduler *s)
{
	return &s->forward->weights->shape;
}

int scheduler_init(struct scheduler *s, struct forward *fw, struct failure *f)
{
	const struct shape *shape = &fw->weights->shape;
	bool whole;

	memset(s, 0, sizeof *s);
	s->forward = fw;
	s->n_pages = shape->cache_slots / SHAPE_PAGE;
	s->free_pages = malloc(s->n_pages * sizeof *s->free_pages);
	s->logits = malloc((size_t)MAX_SEQUENCES * shape->vocab * sizeof *s->logits);
	s->candidates = malloc(shape->vocab * sizeof *s->candidates);
	whole = s->free_pages && s->logits && s->candidates;
	for (unsigned i = 0; i < MAX_SEQUENCES; i++) {
		struct sequence *q = &s->sequences[i];

		q->tokens = malloc(shape->context * sizeof *q->tokens);
		q->pages = malloc(shape->context / SHAPE_PAGE * sizeof *q->pages);
		whole = whole && q->tokens && q->pages;
	}
	if (!whole)
		return fail(f, ENOMEM, "out of host memory");
	while (s->n_free < s->n_pages) {
		s->free_pages[s->n_free] = (int32_t)(s->n_pages - 1 - s->n_free);
		s->n_free++;
	}
	return 0;
}

static void give_pages(struct scheduler *s, struct sequence *q, uint32_t keep)
{
	while (q->n_pages > keep)
		s->free_pages[s->n_free++] = q->pages[--q->n_pages];
}

// Tokens whose keys and values are in the cache and known here. None once the ring has wrapped.
static uint32_t valid(const struct scheduler *s, const struct sequence *q)
{
	if (q->fed > shape_of(s)->context)
		return 0;
	return q->fed < q->n_tokens ? (uint32_t)q->fed : q->n_tokens;
}

// How much of a prompt a warm sequence has. The last token is always computed: it has the logits.
static uint32_t common(
	const struct scheduler *s, const struct sequence *q, const int32_t *prompt, uint32_t n)
{
	uint32_t most = valid(s, q) < n - 1 ? valid(s, q) : n - 1, i = 0;

	while (i < most && q->tokens[i] == prompt[i])
		i++;
	return i;
}

static struct sequence *warmest(
	struct scheduler *s, const int32_t *prompt, uint32_t n, uint32_t *ret_reused)
{
	struct sequence *best = NULL;

	*ret_reused = REUSE_MIN - 1;
	for (unsigned i = 0; i < MAX_SEQUENCES; i++) {
		struct sequence *q = &s->sequences[i];
		uint32_t have = q->state == SEQUENCE_WARM ? common(s, q, prompt, n) : 0;

		if (have > *ret_reused) {
			*ret_reused = have;
			best = q;
		}
	}
	if (!best)
		*ret_reused = 0;
	return best;
}

static struct sequence *oldest_warm(struct scheduler *s, const struct sequence *but)
{
	struct sequence *best = NULL;

	for (unsigned i = 0; i < MAX_SEQUENCES; i++) {
		struct sequence *q = &s->sequences[i];

		if (q != but && q->state == SEQUENCE_WARM && (!best || q->used_at < best->used_at))
			best = q;
	}
	return best;
}

static void drop(struct scheduler *s, struct sequence *q)
{
	give_pages(s, q, 0);
	q->state = SEQUENCE_FREE;
}

static struct sequence *unused(struct scheduler *s)
{
	for (unsigned i = 0; i < MAX_SEQUENCES; i++)
		if (s->sequences[i].state == SEQUENCE_FREE)
			return &s->sequences[i];
	return oldest_warm(s, NULL);
}

static uint32_t available(const struct scheduler *s, const struct sequence *q)
{
	uint32_t n = s->n_free + (q->state == SEQUENCE_FREE ? q->n_pages : 0);

	for (unsigned i = 0; i < MAX_SEQUENCES; i++)
		if (s->sequences[i].state == SEQUENCE_WARM)
			n += s->sequences[i].n_pages;
	return n;
}

static int check_prompt(
	const struct scheduler *s, const int32_t *prompt, uint32_t n, struct failure *f)
{
	const struct shape *shape = shape_of(s);

	if (n == 0 || n > shape->context)
		return fail(f, EINVAL, "the prompt has %u tokens: 1 to %u are possible", n,
			shape->context);
	for (uint32_t i = 0; i < n; i++)
		if (prompt[i] < 0 || (uint32_t)prompt[i] >= shape->vocab)
			return fail(f, EINVAL, "token id %d is outside the vocabulary of %u",
				prompt[i], shape->vocab);
	return 0;
}

// All pages that the sequence can ever need: it never has to wait for one later.
static int take_pages(struct scheduler *s, struct sequence *q, uint32_t wanted, struct failure *f)
{
	give_pages(s, q, wanted);
	while (s->n_free < wanted - q->n_pages)
		drop(s, oldest_warm(s, q));
	while (q->n_pages < wanted)
		q->pages[q->n_pages++] = s->free_pages[--s->n_free];
	return forward_set_pages(s->forward, (unsigned)(q - s->sequences), q->pages, q->n_pages, f);
}

int scheduler_start(struct scheduler *s, const int32_t *prompt, uint32_t n, uint32_t wanted,
	const struct sampling *sampling, unsigned *ret_sequence, struct failure *f)
{
	uint32_t context = shape_of(s)->context, reused = 0, slots, pages;
	int r = check_prompt(s, prompt, n, f);
	struct sequence *q;

	if (r)
		return r;
	slots = wanted < context - n ? n + wanted : context;
	pages = (slots + SHAPE_PAGE - 1) / SHAPE_PAGE;
	q = warmest(s, prompt, n, &reused);
	if (!q)
		q = unused(s);
	if (!q || available(s, q) < pages)
		return fail(f, EAGAIN, "no room in the KV cache");
	r = take_pages(s, q, pages, f);
	if (r)
		return r;
	q->state = SEQUENCE_RUNNING;
	q->number = ++s->started;
	q->paused = false;
	memcpy(q->tokens, prompt, n * sizeof *prompt);
	q->n_tokens = q->n_prompt = n;
	q->fed = q->reused = reused;
	s->prompt_tokens_reused += reused;
	q->wanted = wanted;
	q->enqueued = q->taken = 0;
	q->sampling = *sampling;
	*ret_sequence = (unsigned)(q - s->sequences);
	return 0;
}

void scheduler_end(struct scheduler *s, unsigned sequence)
{
	struct sequence *q = &s->sequences[sequence];

	q->state = SEQUENCE_WARM;
	q->number = 0;
	q->used_at = ++s->ended;
	if (!valid(s, q))
		drop(s, q);
}

void scheduler_pause(struct scheduler *s, unsigned sequence, bool paused)
{
	s->sequences[sequence].paused = paused;
}

// One that generates can run ahead of the host unless the host chooses its tokens.
static bool generates(const struct sequence *q)
{
	if (q->state != SEQUENCE_RUNNING || q->paused || q->fed < q->n_prompt)
		return false;
	return q->enqueued < q->wanted && (q->sampling.temperature == 0 || q->enqueued == q->taken);
}

static bool has_prompt(const struct sequence *q)
{
	return q->state == SEQUENCE_RUNNING && !q->paused && q->fed < q->n_prompt;
}

static int32_t next_token(const struct scheduler *s, const struct sequence *q)
{
	if (q->fed >= q->n_tokens)
		return TOKEN_SAMPLED;
	return q->fed < shape_of(s)->context ? q->tokens[q->fed] : q->newest;
}

static void add_row(struct scheduler *s, struct pass *p, struct sequence *q)
{
	struct pass_record *c = &p->record;

	c->token[c->rows] = next_token(s, q);
	c->position[c->rows] = (int32_t)q->fed;
	c->sequence[c->rows] = (int32_t)(q - s->sequences);
	if (q->fed < q->n_prompt)
		s->prompt_tokens_computed++;
	q->fed++;
	if (q->fed >= q->n_prompt) {
		p->numbers[c->outputs] = q->number;
		c->output[c->outputs++] = c->rows;
		q->enqueued++;
	}
	c->rows++;
}

static void add_rows(struct scheduler *s, struct pass *p)
{
	int32_t room;

	memset(p, 0, sizeof *p);
	for (unsigned i = 0; i < MAX_SEQUENCES; i++)
		if (generates(&s->sequences[i]))
			add_row(s, p, &s->sequences[i]);
	room = p->record.rows ? p->record.rows + PROMPT_ROWS_BESIDE : PASS_ROWS;
	for (unsigned i = 0; i < MAX_SEQUENCES; i++)
		while (p->record.rows < room && has_prompt(&s->sequences[i]))
			add_row(s, p, &s->sequences[i]);
}

// Logits of the outputs whose tokens the host chooses. One pass at a time has any.
static int read_logits(struct scheduler *s, const struct pass *p, struct failure *f)
{
	int r = 0;

	for (int32_t i = 0; !r && i < p->record.outputs; i++) {
		int32_t sequence = p->record.sequence[p->record.output[i]];

		if (s->sequences[sequence].sampling.temperature > 0)
			r = forward_read_logits(s->forward, (unsigned)i,
				s->logits + (size_t)i * shape_of(s)->vocab, f);
	}
	return r;
}

static int enqueue(struct scheduler *s, struct pass *p, struct failure *f)
{
	int r = forward_pass(s->forward, &p->record, f);

	if (!r)
		r = read_logits(s, p, f);
	if (!r)
		r = forward_read_tokens(s->forward, p->landing, &p->done, f);
	if (!r)
		s->enqueued++;
	return r;
}

static int wait_for(struct pass *p, struct failure *f)
{
	cl_int st = clWaitForEvents(1, &p->done);

	clReleaseEvent(p->done);
	p->done = NULL;
	return st ? fail_cl(f, st, "clWaitForEvents") : 0;
}

static int32_t token_of(struct scheduler *s, const struct pass *p, int32_t output)
{
	int32_t sequence = p->record.sequence[p->record.output[output]];
	const struct sequence *q = &s->sequences[sequence];
	uint32_t vocab = shape_of(s)->vocab;

	if (q->sampling.temperature == 0)
		return p->landing[sequence];
	return sampler_choose(
		&q->sampling, q->taken, s->logits + (size_t)output * vocab, vocab, s->candidates);
}

static int collect(struct scheduler *s, const struct pass *p, struct scheduled_token *ret)
{
	int n = 0;

	for (int32_t i = 0; i < p->record.outputs; i++) {
		unsigned sequence = (unsigned)p->record.sequence[p->record.output[i]];
		struct sequence *q = &s->sequences[sequence];
		int32_t token;

		if (q->state != SEQUENCE_RUNNING || q->number != p->numbers[i])
			continue;
		token = token_of(s, p, i);
		if (q->n_tokens < shape_of(s)->context)
			q->tokens[q->n_tokens] = token;
		q->newest = token;
		q->n_tokens++;
		q->taken++;
		ret[n++] = (struct scheduled_token){ sequence, token, q->taken == q->wanted };
	}
	return n;
}

// While the host chooses some tokens, the pass that needs them cannot be in flight yet, and one
// without them would split the batch.
static unsigned passes_ahead(const struct scheduler *s)
{
	for (unsigned i = 0; i < MAX_SEQUENCES; i++)
		if (s->sequences[i].state == SEQUENCE_RUNNING &&
			s->sequences[i].sampling.temperature > 0)
			return 1;
	return PASSES_AHEAD;
}

bool scheduler_busy(const struct scheduler *s)
{
	for (unsigned i = 0; i < MAX_SEQUENCES; i++)
		if (generates(&s->sequences[i]) || has_prompt(&s->sequences[i]))
			return true;
	return s->collected < s->enqueued;
}

int scheduler_step(struct scheduler *s, struct scheduled_token *ret, struct failure *f)
{
	struct pass *p;
	int r = 0;

	while (!r && s->enqueued - s->collected < passes_ahead(s)) {
		p = &s->passes[s->enqueued % PASSES_AHEAD];
		add_rows(s, p);
		if (!p->record.rows)
			break;
		r = enqueue(s, p, f);
	}
	if (r || s->collected == s->enqueued)
		return r;
	p = &s->passes[s->collected++ % PASSES_AHEAD];
	r = wait_for(p, f);
	return r ? r : collect(s, p, ret);
}

uint64_t scheduler_cached(const struct scheduler *s, enum sequence_state state)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < MAX_SEQUENCES; i++) {
		const struct sequence *q = &s->sequences[i];
		uint64_t slots = (uint64_t)q->n_pages * SHAPE_PAGE;

		if (q->state == state)
			n += q->fed < slots ? q->fed : slots;
	}
	return n;
}

void scheduler_free(struct scheduler *s)
{
	for (; s->collected < s->enqueued; s->collected++)
		if (s->passes[s->collected % PASSES_AHEAD].done)
			wait_for(&s->passes[s->collected % PASSES_AHEAD], NULL);
	for (unsigned i = 0; i < MAX_SEQUENCES; i++) {
		free(s->sequences[i].tokens);
		free(s->sequences[i].pages);
	}
	free(s->free_pages);
	free(s->logits);
	free(s->candidates);
	memset(s, 0, sizeof *s);
}
