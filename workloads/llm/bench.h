// SPDX-License-Identifier: Apache-2.0
// How fast tokens come, against how fast the same device can read the same bytes.
#pragma once

#include "model.h"

// Generates `tokens` tokens on a loaded model and prints tokens/s, the bytes of weights read per
// second, and the ratio to a pure read kernel over the same buffers in the same run.
int bench_run(struct model *m, uint32_t tokens, struct failure *f);
