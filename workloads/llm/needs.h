// SPDX-License-Identifier: Apache-2.0
// What a model takes of a device, worked out without one.
#pragma once

#include "model.h"

// Prints a JSON object on standard output: the shape, and the bytes of the weights, as the device keeps
// them, and of the KV cache; the buffers of a pass are small beside them. `m` is as model_init() or model_init_file() leaves it.
int needs_print(struct model *m, struct failure *f);
