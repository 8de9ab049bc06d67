// SPDX-License-Identifier: Apache-2.0
// A few threads that each run the same function, one job after the other, for the main thread.
// Knows threads; not what they do.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "base/loop.h"

struct move_pool;

// Thread `i` of the pool runs this once per job.
typedef void (*move_pool_fn)(void *arg, size_t i);

// `waker` (may be NULL) is woken when the last thread has returned from a job. NULL when threads or
// memory are exhausted.
struct move_pool *move_pool_new(size_t threads, struct watch *waker);
// Main thread, pool not busy. What the caller wrote before is visible to the job, and what the job
// wrote is visible to whoever sees the pool idle.
void move_pool_run(struct move_pool *p, move_pool_fn fn, void *arg);
bool move_pool_busy(struct move_pool *p);
// Joins; a job under way must have been told to end. NULL-safe, returns NULL.
struct move_pool *move_pool_free(struct move_pool *p);
