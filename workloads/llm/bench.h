// SPDX-License-Identifier: Apache-2.0
// How fast tokens come, against how fast the same device can read the same bytes.
#pragma once

#include "model.h"

// Generates about `tokens` tokens on a loaded model, in turns with pure reads of the same buffers, and
// prints the medians and that of each turn's ratio: the bytes of weights that a token read a second, to
// those of the reads around it. Then several streams together, and a prompt.
int bench_run(struct model *m, uint32_t tokens, struct failure *f);
