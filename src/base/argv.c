// SPDX-License-Identifier: Apache-2.0
#include "base/argv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void push(struct argv *a, char *owned)
{
	if (owned && a->n + 1 >= a->cap) {
		size_t cap = a->cap ? 2 * a->cap : 64;
		char **v = realloc(a->v, cap * sizeof *v);
		if (v) {
			a->v = v;
			a->cap = cap;
		}
	}
	if (!owned || a->n + 1 >= a->cap) {
		free(owned);
		a->failed = true;
		return;
	}
	a->v[a->n++] = owned;
	a->v[a->n] = NULL;
}

void argv_add(struct argv *a, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	push(a, text);
}

void argv_free(struct argv *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->v[i]);
	free(a->v);
	*a = (struct argv){ 0 };
}
