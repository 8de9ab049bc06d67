// SPDX-License-Identifier: Apache-2.0
// The host's inventory: VMs, the host's settings, the history of migrations and a ring of events,
// in SQLite (`ferry.db`). Rows are documents; what is decided from them is not known here.
// The durable truth about a migration is its record file, not this.
#pragma once

#include <stdint.h>
#include "base/error.h"
#include "base/json.h"

#define INVENTORY_MAX_EVENTS  5000 // older ones go
#define INVENTORY_MAX_HISTORY 1000

struct inventory;

// A VM's row.
struct inventory_vm {
	const char *name;
	const json_t *config;
	const char *state;
	const char *owner;
	int64_t epoch;
	const json_t *processes; // {"qemu":{"pid","start"},"vgpus":[{"pid","start"},...]}
};

// Opens or creates; refuses a schema newer than this program's, upgrades an older one.
struct inventory *inventory_open(const char *path, struct ferry_error *e);
struct inventory *inventory_close(struct inventory *i); // NULL-safe; returns NULL

int inventory_save_vm(struct inventory *i, const struct inventory_vm *vm, struct ferry_error *e);
int inventory_remove_vm(struct inventory *i, const char *name, struct ferry_error *e);
// Calls fn for each; its strings and documents are borrowed. A row that does not parse is an error.
typedef int (*inventory_vm_fn)(void *arg, const struct inventory_vm *vm, struct ferry_error *e);
int inventory_each_vm(struct inventory *i, inventory_vm_fn fn, void *arg, struct ferry_error *e);

// The host's own settings, {"key":"text"}; borrowed. A NULL value removes the key.
const json_t *inventory_settings(const struct inventory *i);
int inventory_set(struct inventory *i, const char *key, const char *value, struct ferry_error *e);

// Events and results are JSON documents with a number that grows. Lists are oldest first, at most
// `limit`, only those numbered above `after`; a new reference.
int inventory_add_event(
	struct inventory *i, const json_t *event, int64_t *ret_number, struct ferry_error *e);
json_t *inventory_events(struct inventory *i, int64_t after, int limit, struct ferry_error *e);
int inventory_add_history(struct inventory *i, const json_t *result, struct ferry_error *e);
json_t *inventory_history(struct inventory *i, int limit, struct ferry_error *e);
