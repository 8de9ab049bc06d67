// SPDX-License-Identifier: Apache-2.0
// What all OpenCL objects have in common: the dispatch pointer, a class that serves as magic, two
// reference counts and a number in the guest stream. Every function here needs the session's lock.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "guest/cl/dispatch.h"

struct object;

struct object_class {
	cl_int invalid;                    // what a call returns for something that is none
	void (*destroy)(struct object *o); // releases what it refers to; not its own memory
};

struct object {
	const cl_icd_dispatch *dispatch;  // first: the loader reads it (cl_khr_icd)
	const struct object_class *class; // doubles as magic: NULL once destroyed
	cl_uint users;                    // CL_*_REFERENCE_COUNT: the program's own references
	uint32_t refs;                    // ours; all of the program's together count as one
	uint32_t id;                      // in the stream; 0: it is not known there
	uint32_t serial;                  // tells this object from a later one with the same id
	bool announced;                   // a sent message names the id: the host must hear its end
	cl_int failed;                    // CL_SUCCESS, or what every use returns
};

// The size is that of the whole struct, whose first member is the object; the rest is zero. Takes a
// number when `numbered`. NULL: no memory or no number left.
void *object_new(const struct object_class *class, size_t size, bool numbered);

// CL_SUCCESS, or why a call must not use the handle: not of the class, failed, connection lost.
cl_int object_check(const void *handle, const struct object_class *class);

// Gives a numbered object another number; the host lets go of what had the old one. false: none left.
bool object_renumber(void *o);

void object_ref(void *o);
void object_unref(void *o); // NULL-safe; the last one destroys it and has its number released

// clRetain* and clRelease*. They take the lock themselves.
cl_int object_retain(void *handle, const struct object_class *class);
cl_int object_release(void *handle, const struct object_class *class);

// The live object with that number, NULL when there is none.
struct object *object_find(uint32_t id);
// Whether the object that had this number and serial still has it.
bool object_alive(uint32_t id, uint32_t serial);
// Calls fn for every numbered object.
void objects_each(void (*fn)(struct object *o));
// Numbers are 1 to `max` from now on.
void objects_limit(uint32_t max);

// Numbers whose objects are gone. They are sent in one message: released_take() hands out up to n
// and lets them be given to new objects once everything sent before message `seq` is known to have
// been read (a late "failed" would else hit the wrong object).
size_t released_take(uint32_t *ids, size_t n, uint32_t seq);
size_t released_count(void);
