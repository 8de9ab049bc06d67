// SPDX-License-Identifier: Apache-2.0
// The driver's inside: one struct migration for each move that this daemon takes part in, on either
// side. It feeds the engine's controllers with events and carries out their actions. One thread:
// the daemon's loop. docs/migration.md says what flows where.
#pragma once

#include "engine/dest.h"
#include "engine/source.h"
#include "host/host.h"
#include "host/migration/migration.h"
#include "host/migration/record.h"

#define DRIVER_QUEUE        64
#define DRIVER_MAX_CHANNELS 16
#define DRIVER_TOKEN_BYTES  16
#define DRIVER_CONNECT_MS   5000
#define DRIVER_VGPU_MS      60000

struct call;
struct migration;
struct opening;
struct relay_process;

// An answer of QEMU, of a ferry-vgpu, or of the peer: `ok` (borrowed) or, when it is NULL, the
// error. Not called once the migration has ended.
typedef void (*driver_fn)(struct migration *m, const json_t *ok, const struct ferry_error *e);

struct driver_timer {
	struct migration *m;
	enum event_type event;
	struct watch *watch;
};

// An event or an action that waits at a fault point (host/fault.h).
struct held {
	struct migration *m;
	struct held *next;
	bool is_action;
	struct event ev;
	struct action action;
};

enum role { ROLE_SOURCE, ROLE_DEST };

struct migration {
	struct host *host;
	struct migration *next;
	enum role role;
	struct vm *vm; // NULL once the VM is no longer this migration's affair
	char vm_name[VM_NAME_MAX + 1];
	char id[ENGINE_ID_SIZE];
	uint64_t epoch;
	char peer_name[HOST_NAME_MAX_BYTES + 1];
	struct peer *peer; // NULL while there is no connection
	bool peer_ready;

	// The controller, and its events in the order in which they came.
	struct source source;
	struct dest dest;
	bool begun;
	struct event queue[DRIVER_QUEUE];
	unsigned queued;
	bool stepping, ended;
	struct driver_timer timers[EV_COUNT];
	struct watch *sweep; // frees an ended migration outside of every callback
	struct call *calls;
	struct held *held;
	int64_t wall_offset_ns; // CLOCK_REALTIME less CLOCK_MONOTONIC, when the migration began

	// Both sides.
	struct relay_process *relay;
	unsigned channels;
	uint8_t token[DRIVER_TOKEN_BYTES];
	int fds[DRIVER_MAX_CHANNELS]; // V channels on their way to the vGPU; -1: none
	int ram_fd;
	unsigned fds_there;
	json_t *config;     // the VM's, for the record; owned
	bool finished;      // the record is marked: nothing is left to do after a restart
	vm_done_fn decided; // of migration_decide()
	void *decided_arg;

	// Source.
	struct migration_params params;
	struct migration_observer observer;
	void *observer_arg;
	bool told; // the observer has its result
	json_t *peer_keys;
	struct {
		bool estimate, status, begun, gpu, relay, vm;
	} armed;
	uint64_t allocated_bytes, framebuffer_bytes, ram_total_bytes;
	struct opening *openings;        // data connections being made
	struct watch *poll;              // of QEMU's progress
	struct watch *frozen_timer;      // until QEMU says "postmigrate"
	int64_t asked_ns, round_trip_ns; // the link's round trip: the shortest of some
	unsigned asked;
	struct {
		bool on, yanked;
		int64_t cancelled_ns;
		struct watch *timer, *gpu_timer;
		unsigned gpu_tries, looks;
	} resume;
	struct share share; // of the bandwidth, as last asked for
	struct {
		unsigned asked, answers; // times that the gate was asked to close, and was answered
		unsigned opened_at;      // `asked` when it was opened again
	} gate;
	unsigned drain_empty; // rounds in a row in which the ports gave nothing
	struct {
		char local[ENGINE_ID_SIZE], peer[ENGINE_ID_SIZE];
	} verify;
	int verified;         // -1: not asked
	int64_t stop_at_ns;   // wall clock, QEMU's own
	int64_t resume_at_ns; // wall clock of the destination's QEMU
	int64_t gate_open_ns; // wall clock of the destination
	double resume_ms;     // from the destination's `committed` to its RESUME
	int64_t last_out_ns;  // CLOCK_MONOTONIC: the relay's last byte of QEMU's stream
	uint64_t ram_bytes, ram_at_stop, ram_rounds, ram_remaining_at_stop;
	json_t *estimate; // {"total_ms","stun_ms"} or NULL

	// Destination.
	int64_t prepare_request; // to be answered; 0: none
	int64_t commit_request;
	int64_t verify_request;
	struct peer *asking;  // a connection of our own, for `ask`
	struct watch *settle; // the inventory learns of SEALED when the stun is over
};

struct migrations {
	struct migration *list;
	uint64_t last_rate;     // bytes/s that the last migration reached, 0: none yet
	int64_t last_device_ns; // its device state, for the forecast
};

// ---- driver.c: life, events, timers ----

// NULL: no memory. Links the VM to it and looks on.
struct migration *driver_new(struct host *h, enum role role, struct vm *vm, const char *id);
struct migration *driver_find(struct host *h, const char *id); // NULL: none
// Lets the VM go: the migration only answers questions from now on.
void driver_detach(struct migration *m);
// Ends it as soon as no callback is running. Legal at any time; changes no record and no process.
void driver_end(struct migration *m);
void driver_free(struct migration *m);

// Gives an event to the controller, now or after the one in hand.
void driver_feed(struct migration *m, const struct event *ev);
void driver_feed_type(struct migration *m, enum event_type type);
void driver_feed_error(struct migration *m, enum event_type type, const struct ferry_error *e);
// The same, after the named fault point has let it pass.
void driver_feed_at(struct migration *m, const char *fault, const struct event *ev);
// Carries an action out after the fault point has let it pass.
void driver_act_at(struct migration *m, const char *fault, const struct action *a);
int64_t driver_wall(const struct migration *m, int64_t monotonic_ns);
// For controllers that were restored: carries out what that asked for, and what follows from it.
void driver_carry_out(struct migration *m, const struct actions *out);

// For callbacks that may come after the migration has ended: remembers which one it was.
struct driver_handle;
struct driver_handle *driver_handle_new(struct migration *m); // NULL: no memory
// The migration, or NULL when it is over. Frees the handle.
struct migration *driver_handle_take(struct driver_handle *x);

// ---- call.c: asking QEMU, a vGPU, the peer ----

// All consume `args`. Where the question cannot even be sent, fn hears of it before these return.
void call_qemu(
	struct migration *m, const char *command, json_t *args, int timeout_ms, driver_fn fn);
void call_qemu_oob(
	struct migration *m, const char *command, json_t *args, int timeout_ms, driver_fn fn);
void call_gpu(struct migration *m, const char *op, json_t *args, const int *fds, size_t n_fds,
	driver_fn fn);
void call_peer(struct migration *m, const char *op, json_t *args, driver_fn fn);
void call_link(struct migration *m, struct link *k, const char *op, json_t *args, const int *fds,
	size_t n_fds, driver_fn fn);
// Gives the relay QEMU's data connection, which is closed here; nothing while one of both is missing.
void call_relay_attach(struct migration *m, driver_fn fn);
void call_forget_all(struct migration *m);

// ---- actions ----

// Through the fault points, and past them.
void source_act(struct migration *m, const struct action *a); // source.c
void source_act_now(struct migration *m, const struct action *a);
void dest_act(struct migration *m, const struct action *a); // dest.c
void dest_act_now(struct migration *m, const struct action *a);
// The engine's configuration from the migration's parameters.
void source_configure(struct migration *m, struct source_config *ret);
void driver_write_record(struct migration *m, const struct action *a);

extern const struct vm_observer source_vm_observer; // source_vm.c
extern const struct vm_observer dest_vm_observer;   // dest.c

// source_arm.c
void source_arm(struct migration *m);
void source_forget_openings(struct migration *m);
// Goes on when the last of what arming waits for has come.
void source_look_armed(struct migration *m);
json_t *driver_capabilities(void); // arguments of migrate-set-capabilities, the same on both sides
// source_peer.c
void source_connect(struct migration *m);
void source_prepare(struct migration *m);
void source_send_switch(struct migration *m);
void source_send_committed(struct migration *m);
void source_send_aborted(struct migration *m);
void source_verify(struct migration *m);
// source_vm.c
void source_stream_start(struct migration *m);
void source_stream_flow(struct migration *m, bool on);
void source_stream_force(struct migration *m, int64_t budget_ns);
void source_continue(struct migration *m);
void source_ports_drain(struct migration *m);
void source_poll_stop(struct migration *m);
// source_rate.c
void source_set_share(struct migration *m, const struct share *share);
// source_resume.c
void source_resume_vm(struct migration *m);
void source_resume_gpu(struct migration *m);
// source_gpu.c
void source_round(struct migration *m, uint32_t n);
void source_gate_close(struct migration *m);
void source_gate_open(struct migration *m);
void source_final(struct migration *m);
// Progress: so many programs are done, of all that the peer has to build, or that we give native
// binaries of.
void source_programs(struct migration *m, const char *whose, json_int_t done, json_int_t all);
void source_gpu_event(struct migration *m, const char *name, json_t *message);
// result.c
json_t *result_of(struct migration *m, enum outcome o);
void result_tell(struct migration *m, enum outcome o);
void result_progress(struct migration *m, json_t *fields);
// dest_start.c
void dest_start(struct migration *m);
// After each step: the VM's state in the inventory follows the controller's.
void dest_stepped(struct migration *m, enum dest_state before);
int dest_take_channel(struct migration *m, int fd, const struct preface *p, struct ferry_error *e);
// dest_peer.c
void dest_request(struct migration *m, struct peer *p, int64_t id, const char *op, json_t *args);
void dest_take_peer(struct migration *m, struct peer *p);
void dest_ask(struct migration *m);
int dest_prepare(struct host *h, struct peer *p, int64_t id, json_t *args, struct ferry_error *e);
// answers.c
void answer_ask(struct host *h, struct peer *p, int64_t id, json_t *args);
void answer_committed_from_record(struct host *h, struct peer *p, int64_t id, json_t *args);
