// SPDX-License-Identifier: Apache-2.0
// A vGPU's part in the turns on its host's device: decides by turns.h, speaks through memory.h, asks
// before a command goes to the driver. Main thread only; a thread of its own waits for others' word.
// NULL is a vGPU alone on its device: every function takes it.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"

struct be_times;
struct tokens;
struct vgpu;

// Takes a slot in the memory behind `fd`, which it keeps. `share_percent`: the profile's, for the
// policy fixed-share. Sets v->tokens.
int tokens_join(struct vgpu *v, int fd, unsigned share_percent, struct ferry_error *e);
void tokens_leave(struct vgpu *v);

// Before a command is given to the driver. false: not now; the queues are advanced when it may.
bool tokens_may_give(struct tokens *t);
// After a batch: what was given has perhaps ended, the gate has perhaps closed. Sets v->recheck where
// more may be given.
void tokens_look(struct tokens *t);

// Whether tokens_measured() wants the times of commands that end now.
bool tokens_measures(struct tokens *t);
void tokens_measured(struct tokens *t, const struct be_times *times);
