// SPDX-License-Identifier: Apache-2.0
// What the files of object state share.
#pragma once

#include "vgpu/session/kernel.h"
#include "vgpu/state/state.h"
#include "vgpu/state/state_codec.h"

struct command;
struct port;

void state_put_head(struct buf *b, uint32_t kind, uint32_t type, uint64_t serial);
// Appends one u64 to a list blob.
void state_put_serial(struct buf *list, const struct object *o);
void state_put_args(struct buf *items, const struct arg_set *set);
int state_get_args(struct p_blob items, uint32_t n, struct arg_set **ret);

// state_commands.c: the records of the last collection.
void state_put_command(struct buf *record, const struct command *c);
void state_put_stream(struct buf *record, struct port *p);
int state_apply_command(struct vgpu *v, struct rd *r);
int state_apply_stream(struct vgpu *v, struct rd *r);

// NULL when there is none of that type.
struct object *state_find(struct vgpu *v, uint64_t serial, enum object_type type);
