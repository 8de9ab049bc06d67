// SPDX-License-Identifier: Apache-2.0
// One thread for work that takes seconds (compilers), so that sessions go on meanwhile. Jobs run one
// at a time, in order.
#pragma once

#include "base/error.h"
#include "base/loop.h"

struct worker;

int worker_new(struct loop *l, struct worker **ret, struct ferry_error *e);
// Waits for the job that runs; jobs not begun, and ended ones, are finished with `done` here.
// NULL-safe, returns NULL.
struct worker *worker_free(struct worker *w);

// run(arg) on the worker's thread, then done(arg) on the loop's; done(arg) alone when the worker is
// being freed before the job began. 0 or -ENOMEM.
int worker_add(struct worker *w, void (*run)(void *arg), void (*done)(void *arg), void *arg);
