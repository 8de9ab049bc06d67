// SPDX-License-Identifier: Apache-2.0
// Programs and their builds. Needs the session's lock.
#pragma once

#include "base/buf.h"
#include "guest/cl/types.h"

// An announced-to-be program without contents; NULL: no memory.
cl_program program_new(cl_context c);

// Whether its last build made an executable: what was compiled and what was linked to a library is none.
bool program_is_executable(const struct _cl_program *p);

// Sends the source, unless the host has it, with the files put in place that it includes, which
// `options` (NULL: none) help to find.
cl_int program_send_source(cl_program p, const char *options);
// The same for a build, whose files are those that are there now: a source that includes files goes anew.
cl_int program_send_source_anew(cl_program p, const char *options);

// One build's outcome from the body of its answer (protocol.def: build_result and what follows).
// NULL when it is malformed or memory is short.
struct build *build_parse(const struct buf *body);
void build_unref(struct build *b); // NULL-safe
// The kernel of that name, NULL when there is none.
const struct kernel_info *build_find(const struct build *b, const char *name);
