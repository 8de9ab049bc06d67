// SPDX-License-Identifier: Apache-2.0
// For tests only: two hosts in one process on virtual time. Each has a daemon (one controller), a
// disk with one record, a VM process and a vGPU process that behave as the real ones were measured
// to; between them a link. Faults strike after the n-th action that any daemon carries out.
#pragma once

#include "engine/dest.h"
#include "engine/source.h"

struct sim;

#define SIM_EVENTS 128
#define SIM_TRACE  (64u << 10)

enum sim_fault {
	FAULT_CUT,           // the link breaks, both sides notice; it heals after 3 s
	FAULT_BLACK_HOLE,    // the link swallows everything; noticed after 2 s, heals after 3 s
	FAULT_CUT_EVER,      // never heals
	FAULT_SOURCE_DAEMON, // killed, restarted after 1 s from its record alone
	FAULT_DEST_DAEMON,
	FAULT_BOTH_DAEMONS,
	FAULT_SOURCE_VM, // the process dies
	FAULT_DEST_VM,
	FAULT_SOURCE_GPU,
	FAULT_DEST_GPU,
	FAULT_CANCEL,           // an operator cancels
	FAULT_SOURCE_DISK,      // the next record is not written
	FAULT_SOURCE_DISK_LIES, // it is written, and reported as not
	FAULT_DEST_DISK,
	FAULT_COUNT
};

enum sim_vm {
	VM_ABSENT,
	VM_RUNNING,
	VM_STOPPED,
	VM_DEVICE,
	VM_COMPLETED,
	VM_INCOMING,
	VM_LOADED,
	VM_DEAD
};
enum sim_gpu { GPU_ABSENT, GPU_ACTIVE, GPU_GATED, GPU_INCOMING, GPU_RECEIVED, GPU_DEAD };

struct sim_event {
	int64_t at;
	uint64_t order; // ties in the order of sending
	int host;       // 0 source, 1 destination
	unsigned to;    // the daemon's incarnation that it is for; 0: no daemon, `call` acts
	unsigned link;  // the connection that carries it; 0: none
	void (*call)(struct sim *sim, unsigned long arg);
	unsigned long arg;
	struct event ev;
};

struct sim_host {
	bool up;
	unsigned incarnation;
	enum record_state disk;
	uint64_t disk_epoch;
	enum sim_vm vm;
	enum sim_gpu gpu;
	int64_t timer[EV_COUNT]; // -1: none
	bool disk_fails, disk_lies;
};

struct sim {
	struct source_config cfg;
	uint64_t gpu_bytes, ram_bytes, rate, dirty_rate;
	uint64_t ram_dirty_rate,
		ram_hot_bytes; // the guest writes so much of its RAM, again and again
	uint64_t object_bytes; // of every round
	int64_t round_ns;      // that a round takes beside its bytes: 1 ms
	bool zeros;            // no page holds anything else
	bool never_stops;      // the VM, although it may stop over its budget
	unsigned refuse_cont;  // so many times
	int64_t drain_ns;      // how long kernels run: 3 ms, unless they are long
	int64_t gated_ns;      // that the source's gate was closed while its VM ran
	int64_t gate_at;       // when it was last asked to

	int64_t now;
	struct sim_host host[2];
	struct source source;
	struct dest dest;
	bool dest_begun; // its daemon has a controller
	struct sim_event queue[SIM_EVENTS];
	unsigned queued;
	uint64_t orders;

	bool link_up, swallows;
	unsigned link; // number of the connection, 0: none
	unsigned links;
	unsigned stream;      // number of the VM's flow, to forget an old one
	bool stream_intact;   // VM and vGPU data connections
	int64_t flow_left_ns; // of the pass of the VM's stream
	int64_t flow_since;
	bool flows;
	uint64_t pass, pass_bytes, stream_bytes; // the pass under way, its size, those before it
	uint64_t rest_bytes;                     // of RAM when the VM stopped
	int64_t ram_budget_ns;

	unsigned actions, strike_at[3], strikes; // faults still to come
	enum sim_fault fault[3];
	unsigned illegal;
	uint64_t share_sum; // of the last ACT_SHARE; 0: none
	enum outcome outcome;
	bool both_ran; // the one thing that must never be
	bool tracing;
	char trace[SIM_TRACE];
	size_t trace_len;
};

void sim_init(struct sim *sim, enum mode mode, bool gpu, bool verify);
void sim_fault_after(struct sim *sim, unsigned actions, enum sim_fault f);
// Starts the migration and runs until nothing is left to happen, or 600 s have passed.
void sim_run(struct sim *sim);
int sim_running(const struct sim *sim); // VMs that run at the end
const char *sim_fault_name(enum sim_fault f);
