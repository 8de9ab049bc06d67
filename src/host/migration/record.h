// SPDX-License-Identifier: Apache-2.0
// The durable migration record of a VM: records/NAME.json (docs/interfaces.md, section 6). What it
// says is what a daemon goes by after a restart.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "base/json.h"
#include "engine/step.h"
#include "host/config.h"
#include "host/vm_doc.h"

struct record {
	char vm[VM_NAME_MAX + 1];
	char migration[ENGINE_ID_SIZE];
	uint64_t epoch;
	bool source; // false: destination
	enum record_state state;
	char peer[HOST_NAME_MAX_BYTES + 1];
	bool finished; // all that it asks for was done: kept only to answer questions
	// Of a destination whose VM runs, for a source that asks late; 0: not known.
	int64_t resume_at_ns, gate_open_ns;
	json_t *config; // the VM's; owned by the reader, borrowed by the writer; may be NULL
};

// Survives power loss once it returns 0 (base/file.h). The first record of a migration keeps the one
// that it replaces where that was aborted (aborted.h).
int record_write(const struct record *r, struct ferry_error *e);
// -ENOENT where there is none. record_free() what was read.
int record_read(const char *vm, struct record *ret, struct ferry_error *e);
// A missing record is no error. An aborted one is kept in the same way.
int record_remove(const char *vm, struct ferry_error *e);
void record_free(struct record *r);

// Calls fn for every readable record; an unreadable one is logged and left alone. fn owns nothing.
void record_each(void (*fn)(void *arg, const struct record *r), void *arg);
// The record of that migration id, whatever its VM. -ENOENT where there is none.
int record_find(const char *migration, struct record *ret);

// Parses what record_write() wrote; every field is checked.
int record_parse(const json_t *doc, struct record *ret, struct ferry_error *e);
json_t *record_to_json(const struct record *r);

// 32 lower-case hex digits.
bool record_id_valid(const char *id);
// Sixteen random bytes as hex.
int record_new_id(char ret[ENGINE_ID_SIZE], struct ferry_error *e);
