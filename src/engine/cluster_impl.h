// SPDX-License-Identifier: Apache-2.0
// Between the simulation's own files.
#pragma once

#include "engine/cluster_sim.h"
#include "base/test.h"

#include <errno.h>

#define MS ENGINE_NSEC_MSEC
#define A  0 // the source
#define B  1 // the destination

// cluster_sim.c: the world.
void sim_trace(struct sim *sim, const char *fmt, ...);
// An event for the daemon of `host` as it is now; lost when that dies.
struct event *sim_tell(struct sim *sim, int host, int64_t delay, enum event_type type);
// The same over the present connection. NULL when there is none.
struct event *sim_message(struct sim *sim, int host, enum event_type type);
// Events of that type that the source's daemon has still to be told are not told.
void sim_forget(struct sim *sim, enum event_type type);
void sim_later(struct sim *sim, int64_t delay, void (*call)(struct sim *, unsigned long),
	unsigned long arg);

// cluster_processes.c: what each action does to VMs, vGPUs, disks and the link.
void sim_do_source(struct sim *sim, const struct action *a);
void sim_do_dest(struct sim *sim, const struct action *a);
void sim_write_record(struct sim *sim, int h, const struct action *a);
void sim_vm_set(struct sim *sim, int host, enum sim_vm state);
bool sim_vm_alive(enum sim_vm v);
bool sim_gpu_alive(enum sim_gpu g);
void sim_break_stream(struct sim *sim);             // the data connections
void sim_drop_link(struct sim *sim, int64_t delay); // the control connection
int64_t sim_send_ns(const struct sim *sim, uint64_t bytes);
void sim_fail_event(struct event *ev, const char *code);
