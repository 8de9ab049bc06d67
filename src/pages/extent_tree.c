// SPDX-License-Identifier: Apache-2.0
#include "pages/extent_tree.h"

#include <errno.h>
#include <stdlib.h>

struct extent_node {
	struct page_run run;
	uint64_t longest;  // the greatest count in this subtree
	uint64_t priority; // a parent's is never less than its children's
	struct extent_node *left, *right;
};

static uint64_t longest_of(const struct extent_node *n)
{
	return n ? n->longest : 0;
}

static void refresh(struct extent_node *n)
{
	n->longest = n->run.count;
	if (longest_of(n->left) > n->longest)
		n->longest = n->left->longest;
	if (longest_of(n->right) > n->longest)
		n->longest = n->right->longest;
}

// splitmix64 (Steele, Lea and Flood, 2014): one well-mixed number per call.
static uint64_t next_priority(struct extent_tree *t)
{
	uint64_t z = t->seed += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

// Runs before `first` go to *l, the others to *r.
static void split(
	struct extent_node *n, uint64_t first, struct extent_node **l, struct extent_node **r)
{
	if (!n) {
		*l = *r = NULL;
		return;
	}
	if (n->run.first < first) {
		split(n->right, first, &n->right, r);
		*l = n;
	} else {
		split(n->left, first, l, &n->left);
		*r = n;
	}
	refresh(n);
}

// All of `l` is before all of `r`.
static struct extent_node *join(struct extent_node *l, struct extent_node *r)
{
	if (!l || !r)
		return l ? l : r;
	if (l->priority >= r->priority) {
		l->right = join(l->right, r);
		refresh(l);
		return l;
	}
	r->left = join(l, r->left);
	refresh(r);
	return r;
}

static void clear_node(struct extent_node *n)
{
	if (!n)
		return;
	clear_node(n->left);
	clear_node(n->right);
	free(n);
}

void extent_tree_clear(struct extent_tree *t)
{
	clear_node(t->root);
	t->root = NULL;
	t->n = 0;
}

int extent_tree_insert(struct extent_tree *t, struct page_run run)
{
	struct extent_node *n = calloc(1, sizeof(*n)), *l, *r;

	if (!n)
		return -ENOMEM;
	n->run = run;
	n->priority = next_priority(t);
	refresh(n);
	split(t->root, run.first, &l, &r);
	t->root = join(join(l, n), r);
	t->n++;
	return 0;
}

bool extent_tree_remove(struct extent_tree *t, uint64_t first, struct page_run *ret)
{
	struct extent_node *l, *m, *r;

	split(t->root, first, &l, &r);
	split(r, first + 1, &m, &r);
	t->root = join(l, r);
	if (!m)
		return false;
	if (ret)
		*ret = m->run;
	free(m);
	t->n--;
	return true;
}

static void change_node(struct extent_node *n, uint64_t first, struct page_run to)
{
	if (!n)
		return;
	if (n->run.first == first)
		n->run = to;
	else
		change_node(first < n->run.first ? n->left : n->right, first, to);
	refresh(n);
}

void extent_tree_change(struct extent_tree *t, uint64_t first, struct page_run to)
{
	change_node(t->root, first, to);
}

bool extent_tree_at_or_before(const struct extent_tree *t, uint64_t page, struct page_run *ret)
{
	const struct extent_node *n = t->root, *best = NULL;

	while (n) {
		if (n->run.first <= page) {
			best = n;
			n = n->right;
		} else {
			n = n->left;
		}
	}
	if (best)
		*ret = best->run;
	return best;
}

bool extent_tree_at_or_after(const struct extent_tree *t, uint64_t page, struct page_run *ret)
{
	const struct extent_node *n = t->root, *best = NULL;

	while (n) {
		if (n->run.first >= page) {
			best = n;
			n = n->left;
		} else {
			n = n->right;
		}
	}
	if (best)
		*ret = best->run;
	return best;
}

bool extent_tree_first_fit(const struct extent_tree *t, uint64_t count, struct page_run *ret)
{
	const struct extent_node *n = t->root;

	if (longest_of(n) < count)
		return false;
	for (;;) {
		if (longest_of(n->left) >= count) {
			n = n->left;
		} else if (n->run.count >= count) {
			*ret = n->run;
			return true;
		} else {
			n = n->right;
		}
	}
}
