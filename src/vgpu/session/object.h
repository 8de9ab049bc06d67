// SPDX-License-Identifier: Apache-2.0
// What every object of a guest has in common: identity, lifetime, and when it last changed. Knows
// nothing of what objects do. Main thread only.
//
// An object is named twice: by its session with a small number (id) that can be used again, and
// within the whole vGPU by a serial that never is. Serials are what object state moves by.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum object_type {
	OBJECT_SESSION = 1,
	OBJECT_CONTEXT = 2,
	OBJECT_QUEUE = 3,
	OBJECT_BUFFER = 4,
	OBJECT_PROGRAM = 5,
	OBJECT_KERNEL = 6,
	OBJECT_EVENT = 7,
	OBJECT_IMAGE = 8,
	OBJECT_SAMPLER = 9,
	OBJECT_DEVICE = 10,
	OBJECT_TYPES = 11,
};

struct session;
struct registry;

struct object {
	enum object_type type;
	uint32_t id;    // in its session's table; 0 when the guest has let it go
	uint32_t refs;  // the table's, other objects', commands'
	bool incoming;  // one reference is the stream of records', until this host owns it
	int32_t failed; // CL_SUCCESS, or why it could not be made: its uses return this
	uint64_t serial;
	uint64_t changed;        // registry's clock at the last change
	struct session *session; // a reference, except in a session itself
	struct registry *registry;
	void (*destroy)(struct object *o); // at the last reference; frees the memory
	struct object *next_gone;          // of its registry's list
};

// All objects of a vGPU by serial.
struct registry {
	struct object **slots; // open addressing, a power of two
	size_t n_slots, n;
	uint64_t next_serial;
	uint64_t clock;      // grows with each change of any object
	struct object *gone; // nobody refers to them, and they are not destroyed yet
	bool destroying;
	bool note_removals;
	bool removals_lost; // out of memory: the notes are incomplete
	uint64_t *removed;  // serials, in order, since noting began
	size_t n_removed, cap_removed;
};

// Enters a zeroed object with one reference and the next serial; or with `serial`, when not 0 (it
// must be free). 0 or -ENOMEM (also where the session has PROTO_OBJECTS_MAX of them), -EEXIST.
int object_init(struct object *o, struct registry *r, enum object_type type,
	struct session *session, uint64_t serial, void (*destroy)(struct object *o));
// Leaves the registry and drops the session; for destroy functions, before they free.
void object_fini(struct object *o);

void object_ref(struct object *o);
// NULL-safe; returns NULL. Inside a destroy function: destroyed after that.
void *object_unref(struct object *o);
void object_touch(struct object *o);

struct object *registry_find(const struct registry *r, uint64_t serial);
// All objects changed after `since`, by type, so that what an object refers to
// comes before it, and then serial: *ret is the caller's to free (the
// objects are borrowed). 0 or -ENOMEM.
int registry_changed(const struct registry *r, uint64_t since, struct object ***ret, size_t *ret_n);
// While on, removed serials are kept; turning it on or off forgets them.
void registry_note_removals(struct registry *r, bool on);
void registry_free(struct registry *r); // empty by now
