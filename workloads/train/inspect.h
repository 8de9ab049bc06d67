// SPDX-License-Identifier: Apache-2.0
// What a trained network is worth: its loss on other text, and text of its own.
#pragma once

#include "text.h"
#include "trainer.h"

// The sum of the losses of all tokens of `text` but the first, in nats. The text is read in windows that
// overlap by half, so that every token but the first ones is predicted from at least half a context.
int inspect_loss(struct trainer *t, const struct text *text, double *ret_nats, struct failure *f);

// Generates `n` tokens for each sequence of the batch, each from a sequence's begin alone, into
// ids[batch][n]; n <= context. Temperature 0 takes the likeliest token.
int inspect_sample(
	struct trainer *t, uint32_t n, float temperature, int32_t *ids, struct failure *f);
