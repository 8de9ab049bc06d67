// SPDX-License-Identifier: Apache-2.0
// One vGPU: what its sessions, objects and commands share. Main thread only, except where said.
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/loop.h"
#include "pages/page_space.h"
#include "vgpu/backend/backend.h"
#include "vgpu/session/object.h"
#include "vgpu/session/output.h"

#define VGPU_CREDIT       (4u << 20)   // bytes that a guest process may have outstanding
#define VGPU_BACKLOG      (8u << 20)   // unsent bytes after which a session's input must wait
#define VGPU_ANSWER_AHEAD (1u << 20)   // unsent bytes after which a read waits
#define VGPU_TEXTS_MAX    (256u << 20) // bytes of all programs' texts and binaries
#define VGPU_QUEUES_MAX   4096         // of all sessions: each is looked at when an event ends
#define VGPU_JOBS_MAX     64  // of a session's programs, at the worker; more wait in its port
#define VGPU_SESSIONS_MAX 256 // of local programs; a VM's have a port each
#define VGPU_PENDING_MAX  (1u << 20) // commands that wait or run, in all sessions: 400 MB of them

struct command;
struct huge_pages;
struct queue;
struct port;
struct tokens;
struct worker;

// Commands that the driver has reported: filled by any thread, emptied by the main one.
struct completions {
	pthread_mutex_t lock; // taken alone
	struct command **list;
	size_t n, cap;
	struct command **spare; // swapped with list; main thread
	size_t spare_cap;
	size_t watched; // that will still be reported: cap is at least this; main thread
	struct watch *waker;
};

struct vgpu {
	struct loop *loop;
	struct page_space *space;
	struct huge_pages *huge; // its keeper; NULL where that is off
	struct backend *be;
	struct registry registry;
	struct worker *worker;
	struct buf info; // hello_host's info items
	uint64_t memory_bytes;
	int64_t clock_offset_ns; // what the guest's clock is ahead of ours: it came from another host

	struct queue *queues; // that the device has, linked by next_queue
	uint32_t n_queues;
	struct queue *dirty;            // given to, not yet flushed; linked by next_dirty
	bool recheck;                   // an event ended: other queues may go on
	bool recheck_later;             // so it is, but the loop has its turn first
	uint64_t in_flight;             // commands in the driver
	uint64_t n_commands;            // all, in flight or not
	struct command *spare_commands; // for reuse
	size_t n_spare_commands;
	struct completions completions;
	struct output *output; // NULL: what kernels print goes to our own standard output
	struct printing printing;

	bool gate_closed;           // nothing is given to the driver, no input is parsed
	bool ports_held;            // nothing is written to ports either
	void (*drained)(void *arg); // once, when gate_closed and in_flight becomes 0; NULL: nobody
	void *drained_arg;

	struct tokens *tokens; // turns on a shared device (tokens.h); NULL: none to take

	bool shares_memory; // with local programs that ask: such a vGPU never moves

	uint64_t text_bytes; // of all programs: what they were announced with
	uint64_t job_bytes;  // of all sessions: copied for the worker's jobs

	struct port **ports; // by index; NULL where there is none
	size_t n_ports;
	size_t n_sessions;
	uint64_t svm_bytes;      // of all allocations of shared virtual memory
	size_t restoring, built; // incoming programs: that are to be built, and that are
	// Why an incoming program, executable where it came from, could not be built here; 0: none. The
	// guest must not come here: its launches would fail.
	int32_t not_rebuilt;
	void (*restored)(void *arg); // one of these has changed; NULL: nobody
	void *restored_arg;
	bool state_ends; // the last collection's commands and streams come in: objects are complete
	bool state_ended; // the last record of object state has been applied
};

struct vgpu_config {
	struct loop *loop;
	uint64_t memory_bytes;
	unsigned device;
	struct be_slices slices;
	bool share_memory;
	const struct backend_ops *backend;
};

int vgpu_new(const struct vgpu_config *config, struct vgpu **ret, struct ferry_error *e);
struct vgpu *vgpu_free(struct vgpu *v); // ends all sessions first; NULL-safe, returns NULL

// Loads the driver's compiler in the background, before it is needed in a hurry.
void vgpu_warm_up(struct vgpu *v);

// CLOCK_MONOTONIC as the guest sees it, also after a move.
uint64_t vgpu_now_ns(const struct vgpu *v);

// ---- the gate (gate.c)

// Gives no more commands to the driver and calls drained() once when what was given is complete:
// perhaps inside. -EBUSY while another drain is waited for.
int gate_close(struct vgpu *v, void (*drained)(void *arg), void *arg);
// Goes on: ports write again, input that queued up is parsed. Also forgets a drain waited for.
void gate_open(struct vgpu *v);
// For whoever counts in_flight down.
void gate_check_drained(struct vgpu *v);
