// SPDX-License-Identifier: Apache-2.0
#include "plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int grow(struct plan *p, struct failure *f)
{
	unsigned size = p->size ? 2 * p->size : 32;
	struct launch *launches = realloc(p->launches, size * sizeof *launches);

	if (!launches)
		return fail(f, ENOMEM, "out of host memory");
	p->launches = launches;
	p->size = size;
	return 0;
}

void plan_add_operands(struct plan *p, cl_program program, const char *name, uint64_t items,
	const struct operand *operands, unsigned n, struct failure *f)
{
	struct arg args[PLAN_MAX_OPERANDS];
	struct launch *l;

	if (!p->failed && n > PLAN_MAX_OPERANDS)
		p->failed = fail(f, EINVAL, "%s: %u arguments", name, n);
	if (!p->failed && p->n == p->size)
		p->failed = grow(p, f);
	if (p->failed)
		return;
	for (unsigned i = 0; i < n; i++)
		args[i] = (struct arg){ operands[i].size, &operands[i].buffer };
	l = &p->launches[p->n];
	l->items = items;
	p->failed = program_kernel(program, name, args, n, &l->kernel, f);
	if (!p->failed)
		p->n++;
}

int plan_enqueue(const struct plan *p, struct gpu *g, struct failure *f)
{
	for (unsigned i = 0; i < p->n; i++) {
		int r = gpu_launch(g, p->launches[i].kernel, p->launches[i].items, f);

		if (r)
			return r;
	}
	return 0;
}

void plan_free(struct plan *p)
{
	for (unsigned i = 0; i < p->n; i++)
		clReleaseKernel(p->launches[i].kernel);
	free(p->launches);
	memset(p, 0, sizeof *p);
}
