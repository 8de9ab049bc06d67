// SPDX-License-Identifier: Apache-2.0
#include "merge.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

// A pair that could be joined when it was found. It is stale once one of the two has changed.
struct pair {
	double rank;
	int32_t left, right;
	uint32_t len; // of both together
	int32_t id;
};

// A binary heap, the best pair on top; of equals the leftmost.
struct heap {
	struct pair *pairs;
	size_t n;
};

static bool better(const struct pair *a, const struct pair *b)
{
	return a->rank < b->rank || (a->rank == b->rank && a->left < b->left);
}

static void swap(struct pair *a, struct pair *b)
{
	struct pair c = *a;

	*a = *b;
	*b = c;
}

static void push(struct heap *h, struct pair p)
{
	size_t i = h->n++;

	h->pairs[i] = p;
	while (i && better(&h->pairs[i], &h->pairs[(i - 1) / 2])) {
		swap(&h->pairs[i], &h->pairs[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
}

static struct pair pop(struct heap *h)
{
	struct pair top = h->pairs[0];
	size_t i = 0;

	h->pairs[0] = h->pairs[--h->n];
	for (;;) {
		size_t best = i, left = 2 * i + 1, right = left + 1;

		if (left < h->n && better(&h->pairs[left], &h->pairs[best]))
			best = left;
		if (right < h->n && better(&h->pairs[right], &h->pairs[best]))
			best = right;
		if (best == i)
			return top;
		swap(&h->pairs[i], &h->pairs[best]);
		i = best;
	}
}

struct merger {
	struct symbol *symbols;
	merge_rule *rule;
	const void *context;
	struct heap heap;
};

static void consider(struct merger *m, int32_t left)
{
	struct pair p = { .left = left };

	if (left < 0 || m->symbols[left].after < 0)
		return;
	p.right = m->symbols[left].after;
	p.len = m->symbols[left].len + m->symbols[p.right].len;
	if (m->rule(m->context, &m->symbols[left], &m->symbols[p.right], &p.rank, &p.id))
		push(&m->heap, p);
}

static void join(struct merger *m, const struct pair *p)
{
	struct symbol *a = &m->symbols[p->left], *b = &m->symbols[p->right];

	// A joined symbol's length is zero, so no pair with it is ever as long as it was.
	if (!a->len || !b->len || a->len + b->len != p->len || a->after != p->right)
		return;
	a->id = p->id;
	a->len = p->len;
	a->after = b->after;
	b->len = 0;
	if (a->after >= 0)
		m->symbols[a->after].before = p->left;
	consider(m, a->before);
	consider(m, p->left);
}

int merge_symbols(struct symbol *symbols, uint32_t n, merge_rule *rule, const void *context)
{
	struct merger m = { .symbols = symbols, .rule = rule, .context = context };

	if (!n)
		return 0;
	m.heap.pairs = malloc(3ull * n * sizeof *m.heap.pairs); // n - 1, and 2 more for each join
	if (!m.heap.pairs)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		symbols[i].before = (int32_t)i - 1;
		symbols[i].after = i + 1 < n ? (int32_t)i + 1 : -1;
	}
	for (uint32_t i = 0; i + 1 < n; i++)
		consider(&m, (int32_t)i);
	while (m.heap.n) {
		struct pair p = pop(&m.heap);

		join(&m, &p);
	}
	free(m.heap.pairs);
	return 0;
}
