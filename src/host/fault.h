// SPDX-License-Identifier: Apache-2.0
// Named fault points (docs/interfaces.md, section 8): the way tests stop, fail or kill the daemon
// at an exact step. They exist in every build and do nothing unless the configuration allows them.
#pragma once

#include <stddef.h>
#include "base/error.h"
#include "base/json.h"

struct host;
struct faults;

// The step after a fault point: `e` is NULL to go on; else the step is to fail with it.
typedef void (*fault_fn)(void *arg, const struct ferry_error *e);

// Calls fn at once (usually), or when a hold is cleared, or with an error of code "fault"; with
// `kill` the process ends here. `name` must be in the table of fault.c.
void fault_reached(struct host *h, const char *name, fault_fn fn, void *arg);
// Drops every held step with this argument, without calling it: its owner goes away.
void fault_forget(struct host *h, const void *arg);

struct faults *faults_new(struct host *h);
struct faults *faults_free(struct faults *f); // NULL-safe; returns NULL
// "NAME:ACTION". Those of ferry-vgpu are passed on to every vGPU, also to later ones.
int faults_set(struct faults *f, const char *text, struct ferry_error *e);
// Clears one point, or all with NULL; what is held there goes on.
int faults_clear(struct faults *f, const char *name, struct ferry_error *e);
// [{"name","action","held":bool}], every point that is set or held; a new reference.
json_t *faults_list(const struct faults *f);
// ferry-vgpu said that it waits at one of its points.
void faults_vgpu_held(struct faults *f, const char *name);
// Calls fn with each point of ferry-vgpu that is set: a vGPU that starts gets them all.
void faults_for_vgpu(const struct faults *f,
	void (*fn)(void *arg, const char *name, const char *action), void *arg);
