// SPDX-License-Identifier: Apache-2.0
// How fast tokens come, against how fast the same device can read the same bytes.
#pragma once

#include "model.h"

// Generates `tokens` tokens on a loaded model and prints tokens/s, and the ratio of two medians in the
// same run: the bytes of weights that a token read a second, to a pure read of the same buffers. Then
// several streams together, and a prompt.
int bench_run(struct model *m, uint32_t tokens, struct failure *f);
