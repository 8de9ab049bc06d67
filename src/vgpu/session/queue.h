// SPDX-License-Identifier: Apache-2.0
// Guest queues: the table of pending commands before the gate, and what of it the driver may have.
// Main thread only, except where said.
//
// A command is given to the driver only when all that it waits for is over, or was given before it
// to the same in-order queue: the driver never blocks on something that only the guest can do. Of a
// queue about QUEUE_AHEAD_NS of work is in the driver at once (2 to QUEUE_DEPTH commands), so that
// draining the gate waits for little, and the driver never runs dry.
#pragma once

#include "vgpu/backend/backend.h"
#include "vgpu/session/object.h"

#define QUEUE_DEPTH    128
#define QUEUE_AHEAD_NS (10 * 1000 * 1000LL)

struct command;
struct device;
struct vgpu;

struct queue {
	struct object o; // must be first
	struct vgpu *v;
	bool in_order, profiling;
	uint64_t properties;
	struct device *device;         // a reference; NULL: the whole device
	struct be_queue *be;           // NULL when the device refused (o.failed)
	struct command *head, *tail;   // live: in the guest's order, those in the driver included
	struct command *first_pending; // in-order: the first that is not in the driver; NULL: none
	struct command *given, *last_given; // in the driver, in the order in which they were given
	uint32_t n_given;
	uint32_t n_barriers; // live
	uint32_t depth;      // how many may be given now
	int64_t command_ns;  // what one took lately, smoothed
	int64_t mark_ns;     // when the oldest given one became the oldest, or was given
	uint32_t unwatched;  // given since the last one that the driver will report
	bool is_dirty;
	bool giving;                           // the worker's thread is using `be`
	struct queue *next_queue, *next_dirty; // in the vGPU's lists, where there is a `be`
};

// The first reference is the caller's; -errno. A refusal of the device's is in o.failed.
// `device` NULL: the whole one.
int queue_new(struct session *s, uint64_t serial, uint64_t properties, struct device *device,
	struct queue **ret);

// Enters a command, which becomes the queue's, and lets run what may.
void queue_push(struct queue *q, struct command *c);
// Lets run whatever may.
void queue_advance(struct queue *q);
void queues_advance_all(struct vgpu *v);
// How long draining the gate would take now, from what commands took lately.
int64_t queues_drain_ns(const struct vgpu *v);
// Makes the driver start, and report, what it was given. Once after a batch of messages.
void queues_kick(struct vgpu *v);
// Ends every command that is not in the driver; their guest is gone.
void queue_drop_pending(struct queue *q);

// Backend's word that a watched command is over: any thread.
void queue_on_complete(void *vgpu, void *command);
// Main thread, after loop_wake(): ends what was reported, then goes on.
void queues_collect(struct vgpu *v);
