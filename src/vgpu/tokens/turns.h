// SPDX-License-Identifier: Apache-2.0
// Whose turn it is on a device that several vGPUs share: a pure step function on virtual time. Each
// ferry-vgpu steps for itself, on what the shared memory says of the others (tokens.h); that is a
// hint, since the others may be hostile, so no value of it makes a vGPU wait for ever. Knows no
// clock, no memory, no OpenCL.
//
// Virtual-time scheduling (start-time fair queueing in its simplest form): a vGPU is charged the
// device's time while others want the device, and a turn ends when its holder has used a slice more
// than the waiting one that used least. Where nobody else wants the device nothing is charged.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define TURNS_MAX      64                // vGPUs on a device
#define TURNS_SLICE_NS (5 * 1000 * 1000) // how far ahead a turn may bring its holder
// A holder whose guest usually comes back with more within this time keeps its turn meanwhile: a
// guest that waits for each kernel would otherwise get one for each of another's slices.
#define TURNS_GRACE_NS (1000 * 1000)
#define TURNS_LEASE_NS                                                                             \
	(50 * 1000 * 1000) // a turn that goes on for longer no longer keeps others off
#define TURNS_LAG_NS   (20ll * 1000 * 1000 * 1000) // the most that one pays back
#define TURNS_IDLE_NS  (100 * 1000 * 1000)         // away: credit is not kept
#define TURNS_BURST_NS (20 * 1000 * 1000)          // of a capped share, saved up

enum turns_policy {
	TURNS_BEST_EFFORT, // those that want the device take turns; idle time is anybody's
	TURNS_EQUAL_SHARE, // at most one part of as many as there are vGPUs, idle or not
	TURNS_FIXED_SHARE, // at most the profile's share, whoever else is there
};

// What the shared memory says. Bits: one for each vGPU.
struct turns_view {
	int64_t now_ns;
	enum turns_policy policy;
	unsigned me;
	int holder;    // -1: nobody
	uint64_t hand; // another value whenever the holder changes
	uint64_t live; // the processes that are there: the kernel's word, and the only certain one
	uint64_t waiting; // want the device and do not have it
	uint64_t busy;    // have commands in it, or keep it for a moment
	int64_t used_ns[TURNS_MAX];
};

struct turns_need {
	bool wants;       // there is a command to give
	bool resting;     // the gate is closed
	bool in_flight;   // commands are in the driver
	int64_t ahead_ns; // how long these will take, from what they took lately
};

struct turns_does {
	enum { TURNS_KEEP, TURNS_TAKE, TURNS_PASS } hand;
	int to; // TURNS_PASS: -1: nobody waits
	bool may_give;
	bool waiting, busy; // what to tell the others
	int64_t look_at_ns; // step again then; 0: when something happens
};

// One vGPU's own. Zero to begin with, but for share_percent.
struct turns {
	unsigned share_percent;                 // TURNS_FIXED_SHARE
	int64_t used_ns;                        // virtual time; the others see it
	int64_t wall_ns, device_ns, charged_ns; // of this turn: passed, measured, and charged of it
	int64_t budget_ns;                      // capped policies: what may be used now
	int64_t budget_at_ns;
	int64_t settled_at_ns;  // contended: charged up to here
	int64_t rival_at_ns;    // when somebody else wanted the device, or was in it; 0: never
	bool contended;         // that is less than TURNS_IDLE_NS ago
	int64_t active_at_ns;   // when it last wanted or used the device
	int64_t idle_at_ns;     // a turn's holder has nothing to do since; 0: it has
	int64_t think_ns;       // how long that took lately, smoothed
	int64_t waits_since_ns; // 0: does not wait
	uint64_t seen_hand;     // of the turn that it waits for the end of,
	int64_t seen_at_ns;     // and when that was first seen
	int64_t taken_to_ns; // a turn that was taken goes on until this much is used; 0: it was not
};

// Whether measured times are needed at all: nobody is charged where nobody else wants the device.
bool turns_measures(const struct turns *t, const struct turns_view *v);
// A command took this much of the device.
void turns_measured(struct turns *t, int64_t device_ns);

struct turns_does turns_step(
	struct turns *t, const struct turns_view *v, const struct turns_need *n);
