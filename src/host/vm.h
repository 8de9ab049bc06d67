// SPDX-License-Identifier: Apache-2.0
// One VM on this host: what it is, who owns it, which processes carry it. Its state has one setter;
// its processes are detached, so that they outlive the daemon and are found again by pid and start
// time. All functions on the loop's thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"
#include "base/json.h"
#include "base/loop.h"
#include "host/device.h"
#include "host/config.h"
#include "host/vm_doc.h"
#include "vm/agent.h"
#include "vm/qmp.h"
#include "wire/link.h"

struct host;
struct migration;
struct vm;
struct vm_kill;
struct vm_launch;
struct vm_ports;
struct vm_stop;

// The contract's states. The numbers stay inside; the names go to files and the wire.
enum vm_state {
	VM_STOPPED,   // no processes; ours
	VM_RUNNING,   // runs here, or is paused in the middle of a migration away; ours
	VM_INCOMING,  // being received; may be destroyed freely
	VM_SEALED,    // complete here; neither runs nor is destroyed until the source decides
	VM_COMMITTED, // was ours until COMMIT; its frozen copy waits for the destination's RUNNING
	VM_RELEASED,  // lives elsewhere (owner); no processes here
	VM_UNKNOWN,   // needs a person (exit status 4)
	VM_N_STATES,
};

struct vm_process {
	pid_t pid;           // 0: none
	uint64_t start_time; // as process_start_time()
	struct watch *exit;  // of loop_process()
	struct vm *vm;
	int index; // -1: QEMU; else of the vGPU
};

// Who waits for a connection; see vm_link.h.
struct vm_link_waiter {
	void (*fn)(void *arg, const struct ferry_error *e);
	void *arg;
};

// Ports of a vGPU that the guest closed and that are still to be looked at; see vm_ports.h.
struct vm_port_checks {
	bool closed[VM_PORTS_MAX];
	bool asking; // about `index`; at most one question is under way
	unsigned index;
	int64_t session; // the one that may be dead; 0: not known yet
	struct watch *retry;
};

// The replacement of a ferry-vgpu that ended by itself; see vm_renew.h.
enum vm_renew_stage {
	RENEW_NOT,
	RENEW_WAITING,  // for its time, and for a migration to end
	RENEW_STARTING, // its process has not answered yet
	RENEW_JOINING,  // QEMU takes its ports
};

struct vm_renew {
	enum vm_renew_stage stage;
	unsigned times;            // that it ended, since the VM was started here or came here
	unsigned in_a_row;         // of these, without a quiet time between
	int64_t since_ns, back_ns; // that it is away; that the last one took its place
	struct watch *timer;
	struct vm_ports *ports;
	unsigned port;           // that QEMU takes next
	bool open[VM_PORTS_MAX]; // ports that the guest had open then
	bool held[VM_PORTS_MAX]; // ports that QEMU holds back
	bool asking;             // QEMU: its answer is still to come
};

struct vm_vgpu {
	struct vm_process process;
	struct link *link; // to its control socket; NULL while not connected
	struct watch *retry;
	struct vm_link_waiter waiter;
	bool was_connected;
	struct host_device device; // of its hello
	char tracker[16];
	int slice; // the first of its slices of the device; -1: none of its own (placement.h)
	struct vm_port_checks ports;
	struct vm_renew renew;
	struct vm *vm;
	unsigned index;
};

// The migration driver looks on while it moves a VM. Members may be NULL.
struct vm_observer {
	// Every QMP event. `data` is borrowed and may be NULL; wall_ns is QEMU's CLOCK_REALTIME.
	void (*qmp_event)(
		void *arg, struct vm *vm, const char *name, const json_t *data, int64_t wall_ns);
	// Every event of a ferry-vgpu: "round", "received", "failed", "progress", ...
	void (*vgpu_event)(
		void *arg, struct vm *vm, unsigned index, const char *name, json_t *message);
	// QEMU (index -1) or a ferry-vgpu ended by itself; `status` as waitpid(2), -1 when not known.
	// true: the observer deals with it. false: the rest of the VM is ended and it is STOPPED. In
	// either case a vGPU of a VM that is RUNNING is replaced (vm_renew.h), once no migration is on.
	bool (*exited)(void *arg, struct vm *vm, int index, int status);
	// A control connection is there again after it was lost: QMP (index -1) or a vGPU's. Events
	// in between are lost; ask.
	void (*reconnected)(void *arg, struct vm *vm, int index);
};

struct vm {
	struct host *host;
	struct vm *next;
	char name[VM_NAME_MAX + 1];
	json_t *config; // what travels to a peer (vm_doc.h), with the VM's settings; owned

	enum vm_state state; // vm_set_state() only
	uint64_t epoch;      // ownership epoch: grows with each COMMIT
	char owner[HOST_NAME_MAX_BYTES + 1];

	struct vm_process qemu;
	struct qmp *qmp; // NULL while not connected
	struct watch *qmp_retry;
	struct vm_link_waiter qmp_waiter;
	bool qmp_was_connected;
	struct vm_vgpu vgpus[VM_GPUS_MAX];
	unsigned user;       // that ferry-vgpu becomes, see vm_user.h; 0: none of its own
	unsigned n_vgpus;    // as configured; 0 for profile "none"
	unsigned n_ports;    // of each vGPU
	struct agent *agent; // the guest's; its socket is set while the VM is RUNNING here

	int log_fd;            // vms/NAME/vm.log; -1 when it cannot be written
	bool booted;           // the guest's agent answered since the last start here
	bool returns_released; // was RELEASED before it became INCOMING

	// Work in progress; NULL: none.
	struct vm_launch *launch;
	struct vm_stop *stop;
	struct vm_kill *kill;
	struct migration *migration; // the driver's; set while one is on
	const struct vm_observer *observer;
	void *observer_arg;
};

const char *vm_state_name(enum vm_state s);
bool vm_state_parse(const char *name, enum vm_state *ret);
// Whether the table allows `from` -> `to`.
bool vm_state_legal(enum vm_state from, enum vm_state to);

struct vm *vm_find(struct host *h, const char *name); // NULL when there is none

// Makes a stopped VM from a checked configuration (vm_doc.h), in memory and inventory. `config`
// is stolen, also on failure. Code "name-taken".
int vm_create(struct host *h, json_t *config, struct vm **ret, struct ferry_error *e);
// The same from a configuration that a peer sent (checked here, every field): state INCOMING with
// the given epoch, owner `from`. A VM of that name that is RELEASED here is replaced. `config` is
// borrowed.
int vm_create_incoming(struct host *h, const json_t *config, uint64_t epoch, const char *from,
	struct vm **ret, struct ferry_error *e);
// Forgets a VM that has no processes, with its folder. NULL-safe.
void vm_remove(struct vm *vm);
// Writes config, state, epoch, owner and pids to the inventory.
void vm_save(struct vm *vm);

// The only way to change the state: checks the table, writes "old -> new (reason)" to the VM's log,
// the event log and the inventory. `owner` may be NULL (unchanged). -EINVAL when not legal: nothing
// has changed then.
int vm_set_state(struct vm *vm, enum vm_state state, uint64_t epoch, const char *owner,
	const char *reason, struct ferry_error *e);

// A time-stamped line in the VM's own log.
void vm_log(struct vm *vm, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// "vms/NAME/FILE", relative to the state folder, the daemon's working directory.
void vm_path(const struct vm *vm, const char *file, char *ret, size_t size);
// What GET /v1/vms/NAME shows; a new reference.
json_t *vm_to_json(const struct vm *vm);

// ---- processes (vm_launch.c, vm_stop.c, vm_link.c, vm_exit.c) ----

// `e` is NULL on success. Called once; the VM may be removed inside.
typedef void (*vm_done_fn)(void *arg, struct vm *vm, const struct ferry_error *e);
// A step of a longer work, for people: "starting QEMU".
typedef void (*vm_progress_fn)(void *arg, struct vm *vm, const char *step);

// Starts the VM's ferry-vgpus and its QEMU, and connects to them. Fresh: done when the guest's
// agent answers; state RUNNING. Incoming: ferry-vgpu --incoming and QEMU -incoming defer -S, done
// when both answer; the state stays INCOMING, the driver sets capabilities and migrate-incoming.
// On failure everything started is ended again before `done` hears of it. `progress` may be NULL.
void vm_launch(struct vm *vm, bool incoming, vm_progress_fn progress, vm_done_fn done, void *arg);

// Ends the VM's processes at once (SIGKILL to QEMU, SIGTERM then SIGKILL to ferry-vgpu), removes
// its tap device and sockets; done when they are gone. Changes no state. Legal at any time, also
// when nothing runs (done is then called before this returns).
void vm_kill(struct vm *vm, vm_done_fn done, void *arg);

// Before SEALED, or after NEVER_RAN: vm_kill(), then the VM is forgotten, or RELEASED with `owner`
// again when it had lived here before. `done` (may be NULL) gets no VM.
void vm_discard(struct vm *vm, const char *owner, const char *reason, vm_done_fn done, void *arg);

// Stops the guest: its agent or ACPI, then after timeout_ms QEMU's quit; state STOPPED.
void vm_stop(struct vm *vm, int timeout_ms, vm_progress_fn progress, vm_done_fn done, void *arg);

// At start of the daemon: looks for the recorded processes, watches them, connects again. A VM
// whose QEMU is gone is STOPPED, unless it is INCOMING, SEALED or COMMITTED: these are
// left to migration_recover(). A vGPU of a VM that is RUNNING is replaced where it is gone.
void vm_adopt(struct vm *vm);

// The driver registers itself while it moves this VM; NULL ends it.
void vm_observe(struct vm *vm, const struct vm_observer *o, void *arg);

// Whether it uses what the host gives to VMs. One that moves away counts until its frozen copy is
// gone, one that comes from its reservation on.
bool vm_is_given(const struct vm *vm);

static inline bool vm_has_processes(const struct vm *vm)
{
	if (vm->qemu.pid)
		return true;
	for (unsigned i = 0; i < vm->n_vgpus; i++)
		if (vm->vgpus[i].process.pid)
			return true;
	return false;
}
