// SPDX-License-Identifier: Apache-2.0
#include "programs.h"

#include <stdio.h>
#include <string.h>

static const char *const type_names[WEIGHT_TYPES] = {
	[WEIGHT_F32] = "F32",
	[WEIGHT_F16] = "F16",
	[WEIGHT_Q8_0] = "Q8_0",
	[WEIGHT_Q4_0] = "Q4_0",
};

int programs_build(struct programs *p, struct gpu *g, const struct shape *s,
	const bool uses[WEIGHT_TYPES], struct failure *f)
{
	char options[512];
	int r = 0;

	for (unsigned t = 0; !r && t < WEIGHT_TYPES; t++) {
		if (!uses[t])
			continue;
		snprintf(options, sizeof options,
			"-cl-std=CL1.2 -DDIM=%u -DDIM_PADDING=%u -DHEAD_DIM=%u -DHEAD_PADDING=%u "
			"-DHEADS=%u -DKV_HEADS=%u -DHIDDEN=%u -DVOCAB=%u -DCONTEXT=%u "
			"-DCACHE_SLOTS=%u -DNORM_EPS=%.9ef -DWEIGHTS_%s%s",
			s->dim, s->dim_padding, s->head_dim, s->head_padding, s->heads, s->kv_heads,
			s->hidden, s->vocab, s->context, s->cache_slots, (double)s->norm_eps,
			type_names[t], g->cpu ? " -DCPU_DEVICE" : "");
		r = program_build(g, options, &p->of[t], f);
	}
	return r;
}

void programs_free(struct programs *p)
{
	for (unsigned i = 0; i < WEIGHT_TYPES; i++)
		if (p->of[i])
			clReleaseProgram(p->of[i]);
	memset(p, 0, sizeof *p);
}
