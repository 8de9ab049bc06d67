// SPDX-License-Identifier: Apache-2.0
// The simulated processes: what each action does to them, and what they report.
#include "engine/cluster_sim.h"
#include "base/test.h"

#include <errno.h>
#include <stdarg.h>

#define MS   ENGINE_NSEC_MSEC
#define A    0
#define B    1
#define ROOT "00112233445566778899aabbccddeeff"

const char *sim_fault_name(enum sim_fault f)
{
	static const char *const names[FAULT_COUNT] = { "cut", "black-hole", "cut-for-ever",
		"source-daemon", "dest-daemon", "both-daemons", "source-vm", "dest-vm",
		"source-gpu", "dest-gpu", "cancel", "source-disk", "source-disk-lies",
		"dest-disk" };

	return names[f];
}

static void trace(struct sim *sim, const char *fmt, ...)
{
	va_list ap;

	if (!sim->tracing)
		return;
	int n = snprintf(sim->trace + sim->trace_len, SIM_TRACE - sim->trace_len, "%8.1f ",
		(double)sim->now / 1e6);
	sim->trace_len += (size_t)n;
	va_start(ap, fmt);
	n = vsnprintf(sim->trace + sim->trace_len, SIM_TRACE - sim->trace_len, fmt, ap);
	va_end(ap);
	sim->trace_len += (size_t)n;
	CHECK(sim->trace_len < SIM_TRACE);
}

static struct sim_event *put(struct sim *sim, int64_t delay)
{
	CHECK(sim->queued < SIM_EVENTS);
	struct sim_event *q = &sim->queue[sim->queued++];
	*q = (struct sim_event){ .at = sim->now + delay, .order = ++sim->orders };
	return q;
}

// An event for the daemon of `host` as it is now; lost when that dies.
static struct event *tell(struct sim *sim, int host, int64_t delay, enum event_type type)
{
	struct sim_event *q = put(sim, delay);

	q->host = host;
	q->to = sim->host[host].incarnation;
	q->ev.type = type;
	return &q->ev;
}

// The same over the present connection. NULL when there is none.
static struct event *message(struct sim *sim, int host, enum event_type type)
{
	if (!sim->link)
		return NULL;
	struct sim_event *q = put(sim, MS / 2);
	q->host = host;
	q->to = sim->host[host].incarnation;
	q->link = sim->link;
	q->ev.type = type;
	return &q->ev;
}

static void later(struct sim *sim, int64_t delay, void (*call)(struct sim *, unsigned long),
	unsigned long arg)
{
	struct sim_event *q = put(sim, delay);

	q->call = call;
	q->arg = arg;
}

static void vm_set(struct sim *sim, int host, enum sim_vm state)
{
	sim->host[host].vm = state;
	if (sim->host[A].vm == VM_RUNNING && sim->host[B].vm == VM_RUNNING)
		sim->both_ran = true;
}

static bool alive(enum sim_vm v)
{
	return v != VM_ABSENT && v != VM_DEAD;
}

static bool gpu_alive(enum sim_gpu g)
{
	return g != GPU_ABSENT && g != GPU_DEAD;
}

static void fail_event(struct event *ev, const char *code)
{
	if (ev)
		ferry_fail(&ev->error, EIO, code, "simulated");
}

// The data connections break: each VM and vGPU behaves as measured (docs/migration.md).
static void break_stream(struct sim *sim)
{
	if (!sim->stream_intact)
		return;
	sim->stream_intact = false;
	sim->flows = false;
	sim->stream++;
	if (sim->host[A].vm == VM_DEVICE) { // fails, and resumes by itself
		vm_set(sim, A, VM_RUNNING);
		tell(sim, A, MS, EV_VM_RESUMED);
	}
	if (sim->host[B].vm == VM_INCOMING) { // ends
		vm_set(sim, B, VM_DEAD);
		tell(sim, B, MS, EV_VM_GONE);
	}
	fail_event(tell(sim, A, MS, EV_FAILED), "channel");
	if (sim->host[B].gpu == GPU_INCOMING)
		fail_event(tell(sim, B, MS, EV_FAILED), "channel");
}

static void drop_link(struct sim *sim, int64_t delay)
{
	if (!sim->link)
		return;
	sim->link = 0;
	for (int h = 0; h < 2; h++)
		if (sim->host[h].up)
			tell(sim, h, delay, EV_LINK_LOST);
}

static void flow_end(struct sim *sim, unsigned long stream)
{
	if (stream != sim->stream || sim->host[A].vm != VM_RUNNING)
		return;
	vm_set(sim, A, VM_STOPPED);
	tell(sim, A, 0, EV_VM_STOPPED);
	tell(sim, A, MS, EV_VM_HELD)->ram.remaining_bytes = 1000000;
}

static void flow(struct sim *sim, bool on)
{
	if (on == sim->flows || !sim->stream_intact)
		return;
	sim->flows = on;
	sim->stream++;
	if (!on) {
		sim->flow_left_ns -= sim->now - sim->flow_since;
		return;
	}
	sim->flow_since = sim->now;
	later(sim, sim->flow_left_ns, flow_end, sim->stream);
}

static void vm_acknowledged(struct sim *sim, unsigned long arg)
{
	(void)arg;
	if (sim->host[A].vm != VM_DEVICE || !sim->stream_intact)
		return;
	vm_set(sim, A, VM_COMPLETED);
	tell(sim, A, 0, EV_VM_COMPLETED);
}

static void vm_arrived(struct sim *sim, unsigned long arg)
{
	(void)arg;
	if (!sim->stream_intact || sim->host[B].vm != VM_INCOMING || sim->host[A].vm != VM_DEVICE)
		return;
	vm_set(sim, B, VM_LOADED);
	tell(sim, B, 0, EV_VM_LOADED);
	later(sim, MS, vm_acknowledged, 0);
}

static void vm_continue(struct sim *sim)
{
	if (sim->host[A].vm != VM_STOPPED)
		return;
	if (!sim->stream_intact) { // notices now, and resumes by itself
		vm_set(sim, A, VM_RUNNING);
		tell(sim, A, MS, EV_VM_RESUMED);
		return;
	}
	vm_set(sim, A, VM_DEVICE);
	later(sim, 20 * MS, vm_arrived, 0);
}

static void final_arrived(struct sim *sim, unsigned long arg)
{
	(void)arg;
	if (!sim->stream_intact || sim->host[B].gpu != GPU_INCOMING ||
		sim->host[A].gpu != GPU_GATED)
		return;
	sim->host[B].gpu = GPU_RECEIVED;
	strcpy(tell(sim, B, 0, EV_GPU_RECEIVED)->sealed.root, ROOT);
	strcpy(tell(sim, A, MS, EV_FINAL_DONE)->final.root, ROOT);
}

static int64_t send_ns(const struct sim *sim, uint64_t bytes)
{
	return (int64_t)(bytes * 1000 / (sim->rate / 1000000));
}

static void run_round(struct sim *sim, uint32_t n)
{
	uint64_t bytes = n == 1 ? sim->gpu_bytes : sim->source.forecast.gpu_bytes;
	int64_t ns = send_ns(sim, bytes) + MS;
	uint64_t dirty = (uint64_t)((double)sim->dirty_rate * (double)ns / 1e9);

	if (!sim->stream_intact || !gpu_alive(sim->host[A].gpu))
		return; // its failure was told already
	struct event *ev = tell(sim, A, ns, EV_ROUND_DONE);
	ev->round.n = n;
	ev->round.bytes = bytes;
	ev->round.ns = ns;
	ev->round.dirty_bytes = dirty < sim->gpu_bytes ? dirty : sim->gpu_bytes;
}

static void write_record(struct sim *sim, int h, const struct action *a)
{
	struct sim_host *host = &sim->host[h];
	bool fails = host->disk_fails || host->disk_lies;

	if (!host->disk_fails) {
		host->disk = a->write.record;
		host->disk_epoch = a->write.epoch;
	}
	host->disk_fails = host->disk_lies = false;
	tell(sim, h, MS / 4, fails ? EV_RECORD_FAILED : EV_RECORD_WRITTEN)->record =
		a->write.record;
}

static void decision(struct sim *sim, struct event *ev)
{
	if (!ev)
		return;
	strcpy(ev->decision.migration, sim->cfg.id);
	ev->decision.epoch = sim->cfg.epoch;
}

static void resume_vm(struct sim *sim)
{
	sim->flows = false;
	sim->stream++;
	if (!alive(sim->host[A].vm)) {
		tell(sim, A, MS, EV_VM_GONE);
		return;
	}
	vm_set(sim, A, VM_RUNNING);
	tell(sim, A, 5 * MS, EV_VM_RESUMED);
}

static void resume_gpu(struct sim *sim)
{
	if (gpu_alive(sim->host[A].gpu))
		sim->host[A].gpu = GPU_ACTIVE;
	tell(sim, A, 2 * MS, gpu_alive(sim->host[A].gpu) ? EV_GPU_OPEN : EV_GPU_GONE);
	break_stream(sim);
}

static void connect_peer(struct sim *sim)
{
	if (!sim->link_up || sim->swallows || !sim->host[B].up) {
		tell(sim, A, 100 * MS, EV_LINK_LOST);
		return;
	}
	sim->link = ++sim->links;
	tell(sim, A, MS, EV_LINK_UP);
	if (sim->dest_begun)
		tell(sim, B, MS, EV_LINK_UP);
}

static void do_source(struct sim *sim, const struct action *a)
{
	switch (a->type) {
	case ACT_PEER_PREPARE:
		message(sim, B, EV_START);
		return;
	case ACT_ARM:
		sim->stream_intact = sim->link != 0 && alive(sim->host[B].vm);
		struct event *armed = tell(sim, A, 2 * MS, EV_ARMED);
		armed->armed.gpu_bytes = sim->gpu_bytes;
		armed->armed.ram_bytes = sim->ram_bytes;
		return;
	case ACT_ROUND:
		run_round(sim, a->round);
		return;
	case ACT_STREAM_RELEASE:
	case ACT_STREAM_HOLD:
		flow(sim, a->type == ACT_STREAM_RELEASE);
		return;
	case ACT_GATE_CLOSE:
		if (gpu_alive(sim->host[A].gpu)) {
			sim->host[A].gpu = GPU_GATED;
			tell(sim, A, 3 * MS, EV_GATE_CLOSED)->drain_ns = 3 * MS;
		}
		return;
	case ACT_PORTS_DRAIN:
		if (gpu_alive(sim->host[A].gpu))
			tell(sim, A, 2 * MS, EV_PORTS_DRAINED);
		return;
	case ACT_PEER_SWITCH:
		message(sim, B, EV_SWITCH);
		return;
	case ACT_VM_CONTINUE:
		vm_continue(sim);
		return;
	case ACT_FINAL:
		later(sim, send_ns(sim, sim->source.forecast.gpu_bytes), final_arrived, 0);
		return;
	case ACT_VERIFY:
		if (gpu_alive(sim->host[A].gpu) && gpu_alive(sim->host[B].gpu))
			tell(sim, A, 50 * MS, EV_VERIFIED);
		return;
	case ACT_PEER_COMMITTED:
		decision(sim, message(sim, B, EV_COMMITTED));
		return;
	case ACT_PEER_ABORTED:
		decision(sim, message(sim, B, EV_ABORTED));
		return;
	case ACT_PEER_CONNECT:
		connect_peer(sim);
		return;
	case ACT_RESUME_VM:
		resume_vm(sim);
		return;
	case ACT_RESUME_GPU:
		resume_gpu(sim);
		return;
	case ACT_RELEASE:
		vm_set(sim, A, VM_ABSENT);
		sim->host[A].gpu = GPU_ABSENT;
		tell(sim, A, 5 * MS, EV_RELEASED);
		return;
	case ACT_OUTCOME:
		sim->outcome = a->outcome;
		return;
	default:
		return;
	}
}

static void vm_cont(struct sim *sim)
{
	if (!alive(sim->host[B].vm)) {
		return; // its death was told
	} else if (sim->refuse_cont) {
		sim->refuse_cont--;
		fail_event(tell(sim, B, MS, EV_CONT_REFUSED), "lock");
	} else {
		vm_set(sim, B, VM_RUNNING);
		tell(sim, B, 3 * MS, EV_VM_RESUMED);
	}
}

// The source's daemon answers from its record.
static void answer_ask(struct sim *sim, unsigned long arg)
{
	static const enum event_type by_record[RECORD_COUNT] = {
		[RECORD_ACTIVE] = EV_PEER_ACTIVE,
		[RECORD_COMMITTED] = EV_COMMITTED,
		[RECORD_ABORTED] = EV_ABORTED,
	};

	(void)arg;
	if (!sim->link_up || sim->swallows || !sim->host[A].up)
		return;
	enum event_type t = by_record[sim->host[A].disk];
	decision(sim, tell(sim, B, MS / 2, t ? t : EV_PEER_NONE));
}

static void discard(struct sim *sim)
{
	vm_set(sim, B, VM_ABSENT);
	sim->host[B].gpu = GPU_ABSENT;
	break_stream(sim);
	if (sim->host[B].disk != RECORD_NEVER_RAN)
		sim->host[B].disk = RECORD_NONE;
	tell(sim, B, 5 * MS, EV_DISCARDED);
}

static void inspect(struct sim *sim)
{
	enum sim_vm v = sim->host[B].vm;
	bool gone = !alive(v) || (sim->cfg.gpu && !gpu_alive(sim->host[B].gpu));

	tell(sim, B, MS, gone ? EV_VM_GONE : v == VM_RUNNING ? EV_VM_RESUMED : EV_VM_LOADED);
}

static void do_dest(struct sim *sim, const struct action *a)
{
	static const enum event_type answers[] = { EV_PEER_RUNNING, EV_PEER_PENDING,
		EV_PEER_NEVER_RAN, EV_PEER_LOST };

	switch (a->type) {
	case ACT_START_INCOMING:
		vm_set(sim, B, VM_INCOMING);
		sim->host[B].gpu = sim->cfg.gpu ? GPU_INCOMING : GPU_ABSENT;
		tell(sim, B, 100 * MS, EV_STARTED);
		return;
	case ACT_ANSWER_PREPARED:
		message(sim, A, EV_PREPARED);
		return;
	case ACT_SEND_SEALED:;
		struct event *ev = message(sim, A, EV_SEALED);
		if (ev) {
			strcpy(ev->sealed.migration, sim->cfg.id);
			strcpy(ev->sealed.root, sim->dest.root);
		}
		return;
	case ACT_SEND_FAILED:
		fail_event(message(sim, A, EV_FAILED), "destination");
		return;
	case ACT_OWN_GPU:
		if (gpu_alive(sim->host[B].gpu)) {
			sim->host[B].gpu = GPU_ACTIVE;
			tell(sim, B, 2 * MS, EV_GPU_OWNED);
		}
		return;
	case ACT_CONT:
		vm_cont(sim);
		return;
	case ACT_ASK:
		later(sim, MS / 2, answer_ask, 0);
		return;
	case ACT_ANSWER_COMMITTED:
		message(sim, A, answers[a->answer]);
		return;
	case ACT_INSPECT:
		inspect(sim);
		return;
	case ACT_DISCARD:
		discard(sim);
		return;
	default:
		return;
	}
}

static void end_daemon(struct sim *sim, int h);
static void start_daemon(struct sim *sim, unsigned long h);

static void heal(struct sim *sim, unsigned long arg)
{
	(void)arg;
	sim->link_up = true;
	sim->swallows = false;
}

static void notice(struct sim *sim, unsigned long arg)
{
	(void)arg;
	break_stream(sim);
	drop_link(sim, 0);
}

static void end_vm(struct sim *sim, int h)
{
	if (!alive(sim->host[h].vm))
		return;
	vm_set(sim, h, VM_DEAD);
	tell(sim, h, MS, EV_VM_GONE);
	if (sim->host[B].vm != VM_LOADED && sim->host[B].vm != VM_RUNNING)
		break_stream(sim);
}

static void end_gpu(struct sim *sim, int h)
{
	if (!gpu_alive(sim->host[h].gpu))
		return;
	enum sim_gpu before = sim->host[h].gpu;
	sim->host[h].gpu = GPU_DEAD;
	tell(sim, h, MS, EV_GPU_GONE);
	if (before != GPU_RECEIVED && before != GPU_ACTIVE)
		fail_event(tell(sim, !h, MS, EV_FAILED), "channel");
}

static void strike(struct sim *sim, enum sim_fault f)
{
	trace(sim, "FAULT %s\n", sim_fault_name(f));
	switch (f) {
	case FAULT_CUT:
	case FAULT_CUT_EVER:
		sim->link_up = false;
		break_stream(sim);
		drop_link(sim, MS);
		if (f == FAULT_CUT)
			later(sim, 3000 * MS, heal, 0);
		return;
	case FAULT_BLACK_HOLE:
		sim->swallows = true;
		later(sim, 2000 * MS, notice, 0);
		later(sim, 3000 * MS, heal, 0);
		return;
	case FAULT_SOURCE_DAEMON:
	case FAULT_DEST_DAEMON:
	case FAULT_BOTH_DAEMONS:
		if (f != FAULT_DEST_DAEMON)
			end_daemon(sim, A);
		if (f != FAULT_SOURCE_DAEMON)
			end_daemon(sim, B);
		return;
	case FAULT_SOURCE_VM:
	case FAULT_DEST_VM:
		end_vm(sim, f == FAULT_DEST_VM);
		return;
	case FAULT_SOURCE_GPU:
	case FAULT_DEST_GPU:
		end_gpu(sim, f == FAULT_DEST_GPU);
		return;
	case FAULT_CANCEL:
		if (sim->host[A].up && source_cancellable(&sim->source))
			tell(sim, A, 0, EV_CANCEL);
		return;
	case FAULT_SOURCE_DISK:
		sim->host[A].disk_fails = true;
		return;
	case FAULT_SOURCE_DISK_LIES:
		sim->host[A].disk_lies = true;
		return;
	case FAULT_DEST_DISK:
		sim->host[B].disk_fails = true;
		return;
	default:
		return;
	}
}

static bool silent(const struct action *a)
{
	return a->type == ACT_STATE || a->type == ACT_TIMER || a->type == ACT_OUTCOME ||
	       a->type == ACT_ILLEGAL;
}

static void describe(struct sim *sim, int h, const struct action *a)
{
	char who = h == A ? 'a' : 'b';

	if (a->type == ACT_STATE)
		trace(sim, "%c: %s -> %s (%s)\n", who, a->state.from, a->state.to, a->state.reason);
	else if (a->type == ACT_WRITE_RECORD)
		trace(sim, "%c   write %s\n", who, record_name(a->write.record));
	else if (a->type == ACT_ROUND)
		trace(sim, "%c   round %u\n", who, a->round);
	else if (a->type == ACT_OUTCOME)
		trace(sim, "%c   outcome %s\n", who, outcome_name(a->outcome));
	else if (a->type == ACT_ANSWER_COMMITTED)
		trace(sim, "%c   answer %s\n", who, answer_name(a->answer));
	else if (a->type == ACT_ILLEGAL)
		trace(sim, "%c   ILLEGAL %s\n", who, event_name(a->event));
	else if (a->type != ACT_TIMER)
		trace(sim, "%c   %s\n", who, action_name(a->type));
}

// Carries out one step's actions; a fault may strike between any two and end the daemon.
static void carry_out(struct sim *sim, int h, const struct actions *out)
{
	unsigned incarnation = sim->host[h].incarnation;

	for (unsigned i = 0; i < out->n && sim->host[h].incarnation == incarnation; i++) {
		const struct action *a = &out->list[i];
		describe(sim, h, a);
		if (a->type == ACT_TIMER)
			sim->host[h].timer[a->timer.event] = a->timer.at_ns;
		else if (a->type == ACT_ILLEGAL)
			sim->illegal++;
		else if (a->type == ACT_WRITE_RECORD)
			write_record(sim, h, a);
		else if (h == A)
			do_source(sim, a);
		else
			do_dest(sim, a);
		if (silent(a))
			continue;
		sim->actions++;
		for (unsigned f = 0; f < sim->strikes; f++)
			if (sim->strike_at[f] == sim->actions)
				strike(sim, sim->fault[f]);
	}
}

static void begin_dest(struct sim *sim)
{
	struct dest_config cfg = { .epoch = sim->cfg.epoch, .gpu = sim->cfg.gpu };

	memcpy(cfg.id, sim->cfg.id, sizeof cfg.id);
	dest_init(&sim->dest, &cfg);
	sim->dest_begun = true;
}

static void deliver(struct sim *sim, int h, struct event *ev)
{
	struct actions out = { .n = 0 };

	ev->now_ns = sim->now;
	if (h == A) {
		source_step(&sim->source, ev, &out);
	} else {
		if (ev->type == EV_START && !sim->dest_begun)
			begin_dest(sim);
		if (!sim->dest_begun)
			return;
		dest_step(&sim->dest, ev, &out);
	}
	carry_out(sim, h, &out);
}

static void end_daemon(struct sim *sim, int h)
{
	struct sim_host *host = &sim->host[h];

	if (!host->up)
		return;
	host->up = false;
	host->incarnation += 2;
	for (unsigned t = 0; t < EV_COUNT; t++)
		host->timer[t] = -1;
	drop_link(sim, MS);
	later(sim, 1000 * MS, start_daemon, (unsigned long)h);
}

static void start_daemon(struct sim *sim, unsigned long arg)
{
	int h = (int)arg;
	struct sim_host *host = &sim->host[h];
	struct actions out = { .n = 0 };

	host->up = true;
	if (h == A) {
		source_init(&sim->source, &sim->cfg);
		if (host->disk == RECORD_NONE) // before ACTIVE: there is no migration
			return;
		source_restore(&sim->source, host->disk, sim->now, &out);
	} else {
		sim->dest_begun = host->disk != RECORD_NONE;
		if (!sim->dest_begun) {
			vm_set(sim, B, VM_ABSENT);
			sim->host[B].gpu = GPU_ABSENT;
			return;
		}
		begin_dest(sim);
		dest_restore(&sim->dest, host->disk, sim->now, &out);
	}
	carry_out(sim, h, &out);
}

void sim_init(struct sim *sim, enum mode mode, bool gpu, bool verify)
{
	*sim = (struct sim){
		.cfg = { .id = "0123456789abcdef0123456789abcdef",
			.epoch = 2,
			.mode = mode,
			.gpu = gpu,
			.verify = verify,
			.target_ns = 300 * MS,
			.limit_ns = 100 * ENGINE_NSEC_SEC,
			.ram_budget_ns = 150 * MS,
			.round_trip_ns = MS,
			.answer_limit_ns = 30 * ENGINE_NSEC_SEC },
		.gpu_bytes = gpu ? 1000000000 : 0,
		.ram_bytes = 250000000,
		.rate = 1000000000,
		.dirty_rate = 100000000,
		.link_up = true,
	};
	sim->flow_left_ns = send_ns(sim, sim->ram_bytes);
	for (int h = 0; h < 2; h++) {
		sim->host[h].up = true;
		sim->host[h].incarnation = 1;
		for (unsigned t = 0; t < EV_COUNT; t++)
			sim->host[h].timer[t] = -1;
	}
	sim->host[A].vm = VM_RUNNING;
	sim->host[A].gpu = gpu ? GPU_ACTIVE : GPU_ABSENT;
}

void sim_fault_after(struct sim *sim, unsigned actions, enum sim_fault f)
{
	CHECK(sim->strikes < 3);
	sim->strike_at[sim->strikes] = actions;
	sim->fault[sim->strikes++] = f;
}

// The next thing to happen: a queued event or a timer. False when there is none.
static bool next(struct sim *sim, struct sim_event *ret)
{
	unsigned best = SIM_EVENTS;
	struct sim_event timer = { .at = INT64_MAX };

	for (unsigned i = 0; i < sim->queued; i++)
		if (best == SIM_EVENTS || sim->queue[i].at < sim->queue[best].at ||
			(sim->queue[i].at == sim->queue[best].at &&
				sim->queue[i].order < sim->queue[best].order))
			best = i;
	for (int h = 0; h < 2; h++)
		for (unsigned t = 0; t < EV_COUNT; t++)
			if (sim->host[h].timer[t] >= 0 && sim->host[h].timer[t] < timer.at)
				timer = (struct sim_event){ .at = sim->host[h].timer[t],
					.host = h,
					.to = sim->host[h].incarnation,
					.ev.type = t };
	if (best < SIM_EVENTS && sim->queue[best].at <= timer.at) {
		*ret = sim->queue[best];
		sim->queue[best] = sim->queue[--sim->queued];
		return true;
	}
	if (timer.at == INT64_MAX)
		return false;
	sim->host[timer.host].timer[timer.ev.type] = -1;
	*ret = timer;
	return true;
}

void sim_run(struct sim *sim)
{
	struct sim_event q;

	source_init(&sim->source, &sim->cfg);
	sim->link = ++sim->links;
	tell(sim, A, 0, EV_START);
	while (next(sim, &q) && q.at < 600 * ENGINE_NSEC_SEC) {
		sim->now = q.at > sim->now ? q.at : sim->now;
		if (q.call)
			q.call(sim, q.arg);
		else if (sim->host[q.host].up && q.to == sim->host[q.host].incarnation &&
			 (!q.link || (q.link == sim->link && !sim->swallows)))
			deliver(sim, q.host, &q.ev);
	}
}

int sim_running(const struct sim *sim)
{
	return (sim->host[A].vm == VM_RUNNING) + (sim->host[B].vm == VM_RUNNING);
}
