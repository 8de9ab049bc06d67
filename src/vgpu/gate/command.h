// SPDX-License-Identifier: Apache-2.0
// A command from its arrival to its end: what it does, what it waits for, what it keeps alive. The
// pending ones are object state. Main thread only.
#pragma once

#include "vgpu/session/image.h"
#include "vgpu/session/event.h"
#include "vgpu/session/kernel.h"
#include "vgpu/protocol/protocol.h"
#include "vgpu/session/queue.h"

#define COMMAND_REFS 16 // kept without an allocation of their own

enum command_state {
	COMMAND_PENDING, // waits in its queue
	COMMAND_RUNNING, // executed here, in parts: a read or write under way
	COMMAND_GIVING,  // the worker's thread is giving it to the driver, which may compile
	COMMAND_GIVEN,   // in the driver
};

struct launch {
	struct kernel *kernel; // among the refs
	struct arg_set *args;  // as of the message; a reference, NULL once given
	uint32_t dims;
	bool is_new;    // the driver may compile for it,
	uint64_t shape; // for launches like it
	struct p_vec3 offset, global, local;
};

// read, write and their rectangles: `total` bytes, packed tight, through a window of the buffer.
struct transfer {
	struct buffer *buffer;
	struct p_vec3 origin, region; // bytes, rows, slices
	uint64_t row_pitch, slice_pitch;
	uint64_t total;
	uint64_t done;      // bytes executed
	struct buf payload; // a write's bytes that arrived before their turn: from `done` on
};

struct copy {
	struct buffer *from, *to;
	struct p_vec3 from_origin, to_origin, region; // not rect: only [0]
	uint64_t from_row_pitch, from_slice_pitch, to_row_pitch, to_slice_pitch;
};

struct fill {
	struct buffer *buffer;
	uint64_t offset, size;
	uint32_t pattern_bytes;
	uint8_t pattern[128];
};

struct image_fill {
	struct image *image;
	struct p_vec3 origin, region; // pixels
	uint8_t color[16];
};

struct command {
	struct command *prev, *next; // of its queue's live list
	struct command *next_given;
	struct queue *queue; // a reference
	struct event *event; // a reference, or NULL
	enum p_op op;        // launch ... finish, image_fill
	enum command_state state;
	bool over;      // the driver has reported it (or a later one of its queue)
	bool printing;  // it may print: printing_end() follows
	bool watched;   // the driver will report this one itself
	bool later;     // a write whose bytes the guest keeps until it is asked
	int32_t status; // CL_SUCCESS, or why it fails when its turn comes
	uint32_t seq;   // of its message: the stream of its answer
	uint32_t cost;  // credit to return when it is given or executed
	uint64_t queued_ns, submitted_ns;
	struct be_ticket *ticket;
	int32_t give_result;                // of the worker's thread
	uint32_t n_waits, n_refs, cap_refs; // refs: first the events waited for, then the objects
	struct object **refs;
	struct object *refs_inline[COMMAND_REFS];
	union {
		struct launch launch;
		struct transfer transfer;
		struct copy copy;
		struct fill fill;
		struct image_fill image_fill;
	} u;
};

// Not in a queue yet. NULL when memory or VGPU_PENDING_MAX is exhausted.
struct command *command_new(struct queue *q, enum p_op op);
// Drops all references, takes it out of its queue and its upload. For commands not in the driver.
void command_free(struct command *c);

// Takes a reference for the command's life. Waits first, then the rest. 0 or -ENOMEM.
int command_hold(struct command *c, struct object *o);
int command_wait_for(struct command *c, struct event *e);

bool command_is_transfer(const struct command *c); // read, write, and their rectangles
bool command_is_write(const struct command *c);
bool command_is_order(const struct command *c); // marker, barrier, finish
bool command_is_local(const struct command *c); // may be executed here, not by the driver
bool command_fill_fits(const struct fill *f);   // its pattern, and its bytes in the buffer
bool command_answers(const struct command *c);  // the guest waits for its end, event or not

// Makes what the driver needs (command_give.c): CL_SUCCESS, or why it cannot run. *ret_slow when the
// driver may compile in command_give().
int32_t command_prepare(struct command *c, bool *ret_slow);
// Gives a prepared command to the driver: CL_SUCCESS and its ticket, or why not. Main thread, or for
// a command in COMMAND_GIVING the worker's.
int32_t command_give(struct command *c);
