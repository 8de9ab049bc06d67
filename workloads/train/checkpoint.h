// SPDX-License-Identifier: Apache-2.0
// A run on disk: shape, recipe, step, parameters and moments. A run that goes on from a checkpoint makes
// the same bits as one that never stopped. Little-endian, for this program alone.
#pragma once

#include "trainer.h"

// Writes PATH.new, syncs it and renames it.
int checkpoint_write(struct trainer *t, const char *path, struct failure *f);

// Goes on from a file of the same shape and recipe. -EINVAL says what differs.
int checkpoint_read(struct trainer *t, const char *path, struct failure *f);
