// SPDX-License-Identifier: Apache-2.0
// A real QEMU for a test: started from a vm_config, driven over QMP, ended whatever happens. Calls
// block, while the loop turns; what fails ends the test.
#pragma once

#include <sys/types.h>
#include "base/loop.h"
#include "vm/agent.h"
#include "vm/cmdline.h"
#include "vm/qmp.h"

struct machine {
	struct loop *loop;
	const char *dir;
	pid_t pid;
	struct qmp *qmp;
	char migration[32];          // status of the last MIGRATION event
	int64_t stop_ns, resume_ns;  // when QEMU saw STOP and RESUME; 0: not yet
	int ports[VM_PORTS_PER_GPU]; // our ends of the first vGPU's ports
};

// Every started process is killed, and `dir` removed, when the test ends, also by a failed check, a
// signal or after limit_s.
void machines_guard(const char *dir, unsigned limit_s);
// Watches over a process that the test started by itself.
void machines_guard_pid(pid_t pid);

// With ports for one vGPU where the configuration has one.
void machine_start(struct machine *m, struct loop *l, const struct vm_config *c);
void machine_stop(struct machine *m); // no effect on one that was stopped before
// SIGKILL, as when a host dies. Its monitor's end is expected.
void machine_kill(struct machine *m);

// Runs a command; returns its "return", borrowed until the next call, or NULL where QEMU refused.
const json_t *machine_ask(struct machine *m, const char *command, json_t *args);
// The same; a refusal ends the test.
const json_t *machine_do(struct machine *m, const char *command, json_t *args);
// Out of band: answered also while QEMU is stuck. A refusal ends the test.
void machine_do_oob(struct machine *m, const char *command, json_t *args);
// Closes the monitor's connection and makes a new one, as a restarted daemon does.
void machine_reconnect(struct machine *m);
// "running", "inmigrate", "paused", "postmigrate", ...
const char *machine_status(struct machine *m);
// Waits for a MIGRATION event of this status. "failed" meanwhile ends the test.
void machine_await(struct machine *m, const char *migration, int limit_ms);

// One turn of the loop, at most 20 ms.
void machine_turn(struct loop *l);
