// SPDX-License-Identifier: Apache-2.0
// Everything that stands in the way of a migration, all at once, before anything is moved. The
// source looks at the VM and its settings, the destination (op "check") at itself.
//
// A report: {"findings":[{"code","cause","remedy","severity":"refuse"|"warn"},...],"facts":{...}};
// facts are the destination's: version, QEMU, accelerator, free memory.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "base/json.h"
#include "host/vm.h"

struct peer;
struct vm_spec;

// fn once, never inside this call, with a borrowed report.
typedef void (*precheck_fn)(void *arg, const json_t *report);
int precheck_run(struct vm *vm, const char *to, precheck_fn fn, void *arg, struct ferry_error *e);

// Whether the report forbids the migration; then *e (may be NULL) has the first such finding's code
// and remedy, and all of their causes.
bool precheck_refuses(const json_t *report, struct ferry_error *e);

// The destination's half: answers the request on the peer's link.
void precheck_answer(struct host *h, struct peer *p, int64_t id, const json_t *args);

// Whether this host has the memory to start the VM; code "no-memory".
int precheck_placement(struct host *h, const json_t *config, struct ferry_error *e);
// Whether the configured cap ("memory") leaves room for one more VM, its framebuffers in full (code
// "no-memory"), and the device for its vGPUs (placement.h).
int precheck_room(const struct host *h, const struct vm_spec *s, struct ferry_error *e);
// Bytes that VMs here may use: RAM and framebuffers of all that run, start, arrive or are not gone yet.
uint64_t host_given_memory(const struct host *h);

// ---- inside src/host/precheck ----

enum severity { SEVERITY_WARN, SEVERITY_REFUSE };
void finding_add(json_t *findings, enum severity s, const char *code, const char *remedy,
	const char *cause_fmt, ...) __attribute__((format(printf, 5, 6)));
// What the source finds without asking anybody.
void precheck_source(struct vm *vm, const char *to, json_t *findings);
// What the destination finds; `args` is a peer's and trusted in nothing. An error: not a check.
int precheck_destination(
	struct host *h, const json_t *args, json_t *findings, struct ferry_error *e);
void precheck_memory(
	const struct host *h, const struct vm_spec *s, uint64_t allocated, json_t *findings);
uint64_t host_available_memory(void); // bytes, MemAvailable of proc(5)
