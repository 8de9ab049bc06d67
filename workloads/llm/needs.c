// SPDX-License-Identifier: Apache-2.0
#include "needs.h"

#include <errno.h>
#include <stdio.h>

#include <jansson.h>

// Buffers are at most 512 MiB each where the device allows it; the sum does not depend on it.
#define BUFFER_MAX (1ull << 32)

int needs_print(struct model *m, struct failure *f)
{
	const struct shape *s = &m->shape;
	struct weights w = { 0 };
	int r = m->file.gguf ? weights_plan(&w, s, &m->file.plan, BUFFER_MAX, f)
			     : weights_plan_uniform(&w, s, m->type, BUFFER_MAX, f);
	uint64_t weights = w.bytes + w.vector_count * sizeof(float);
	json_t *o;

	weights_free(&w);
	if (r)
		return r;
	o = json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:I, s:I}", "model", m->name,
		"layers", s->layers, "width", s->dim, "heads", s->heads, "kv_heads", s->kv_heads,
		"feed_forward", s->hidden, "vocabulary", s->vocab, "context", s->context,
		"weight_bytes", (json_int_t)weights, "cache_bytes", (json_int_t)shape_kv_bytes(s));
	if (!o)
		return fail(f, ENOMEM, "out of host memory");
	json_dumpf(o, stdout, JSON_INDENT(1));
	putchar('\n');
	json_decref(o);
	return 0;
}
