// SPDX-License-Identifier: Apache-2.0
// A list of kernel launches with all their arguments, made once and enqueued again and again.
#pragma once

#include "program.h"

struct launch {
	cl_kernel kernel;
	uint64_t items;
};

struct plan {
	struct launch *launches;
	unsigned n, size;
	int failed; // 0, or why a launch could not be added: sticky, and later ones are not tried
};

// One argument of a kernel.
struct operand {
	size_t size;
	union {
		cl_mem buffer;
		uint32_t word;
		float real;
	};
};

static inline struct operand buffer(cl_mem v)
{
	return (struct operand){ .size = sizeof v, .buffer = v };
}

static inline struct operand word(uint32_t v)
{
	return (struct operand){ .size = sizeof v, .word = v };
}

static inline struct operand real(float v)
{
	return (struct operand){ .size = sizeof v, .real = v };
}

#define PLAN_MAX_OPERANDS 16

// Adds a launch of `items` work-items; plan_add(p, program, f, name, items, buffer(b), word(n), ...).
#define plan_add(p, program, f, name, items, ...)                                                  \
	plan_add_operands(p, program, name, items, (const struct operand[]){ __VA_ARGS__ },        \
		sizeof((const struct operand[]){ __VA_ARGS__ }) / sizeof(struct operand), f)

void plan_add_operands(struct plan *p, cl_program program, const char *name, uint64_t items,
	const struct operand *operands, unsigned n, struct failure *f);

// Enqueues all launches in order; never waits.
int plan_enqueue(const struct plan *p, struct gpu *g, struct failure *f);

// NULL-safe on a zeroed object.
void plan_free(struct plan *p);
