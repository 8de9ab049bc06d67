// SPDX-License-Identifier: Apache-2.0
// The simulated world: virtual time, messages, timers, daemons that die and come back, faults.
#include "engine/cluster_impl.h"

#include <stdarg.h>

const char *sim_fault_name(enum sim_fault f)
{
	static const char *const names[FAULT_COUNT] = { "cut", "black-hole", "cut-for-ever",
		"source-daemon", "dest-daemon", "both-daemons", "source-vm", "dest-vm",
		"source-gpu", "dest-gpu", "cancel", "source-disk", "source-disk-lies",
		"dest-disk" };

	return names[f];
}

void sim_trace(struct sim *sim, const char *fmt, ...)
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
struct event *sim_tell(struct sim *sim, int host, int64_t delay, enum event_type type)
{
	struct sim_event *q = put(sim, delay);

	q->host = host;
	q->to = sim->host[host].incarnation;
	q->ev.type = type;
	return &q->ev;
}

// The same over the present connection. NULL when there is none.
struct event *sim_message(struct sim *sim, int host, enum event_type type)
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

void sim_later(struct sim *sim, int64_t delay, void (*call)(struct sim *, unsigned long),
	unsigned long arg)
{
	struct sim_event *q = put(sim, delay);

	q->call = call;
	q->arg = arg;
}

void sim_forget(struct sim *sim, enum event_type type)
{
	for (unsigned i = 0; i < sim->queued; i++)
		if (!sim->queue[i].call && sim->queue[i].host == A && sim->queue[i].ev.type == type)
			sim->queue[i].to = 0;
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
	sim_break_stream(sim);
	sim_drop_link(sim, 0);
}

static void end_vm(struct sim *sim, int h)
{
	if (!sim_vm_alive(sim->host[h].vm))
		return;
	sim_vm_set(sim, h, VM_DEAD);
	sim_tell(sim, h, MS, EV_VM_GONE);
	if (sim->host[B].vm != VM_LOADED && sim->host[B].vm != VM_RUNNING)
		sim_break_stream(sim);
}

static void end_gpu(struct sim *sim, int h)
{
	if (!sim_gpu_alive(sim->host[h].gpu))
		return;
	enum sim_gpu before = sim->host[h].gpu;
	sim->host[h].gpu = GPU_DEAD;
	sim_tell(sim, h, MS, EV_GPU_GONE);
	if (before != GPU_RECEIVED && before != GPU_ACTIVE)
		sim_fail_event(sim_tell(sim, !h, MS, EV_FAILED), "channel");
}

static void strike(struct sim *sim, enum sim_fault f)
{
	sim_trace(sim, "FAULT %s\n", sim_fault_name(f));
	switch (f) {
	case FAULT_CUT:
	case FAULT_CUT_EVER:
		sim->link_up = false;
		sim_break_stream(sim);
		sim_drop_link(sim, MS);
		if (f == FAULT_CUT)
			sim_later(sim, 3000 * MS, heal, 0);
		return;
	case FAULT_BLACK_HOLE:
		sim->swallows = true;
		sim_later(sim, 2000 * MS, notice, 0);
		sim_later(sim, 3000 * MS, heal, 0);
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
			sim_tell(sim, A, 0, EV_CANCEL);
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
		sim_trace(sim, "%c: %s -> %s (%s)\n", who, a->state.from, a->state.to,
			a->state.reason);
	else if (a->type == ACT_WRITE_RECORD)
		sim_trace(sim, "%c   write %s\n", who, record_name(a->write.record));
	else if (a->type == ACT_ROUND)
		sim_trace(sim, "%c   round %u\n", who, a->round);
	else if (a->type == ACT_SHARE)
		sim_trace(sim, "%c   share %llu, %llu\n", who, (unsigned long long)a->share.gpu,
			(unsigned long long)a->share.ram);
	else if (a->type == ACT_OUTCOME)
		sim_trace(sim, "%c   outcome %s\n", who, outcome_name(a->outcome));
	else if (a->type == ACT_ANSWER_COMMITTED)
		sim_trace(sim, "%c   answer %s\n", who, answer_name(a->answer));
	else if (a->type == ACT_ILLEGAL)
		sim_trace(sim, "%c   ILLEGAL %s\n", who, event_name(a->event));
	else if (a->type != ACT_TIMER)
		sim_trace(sim, "%c   %s\n", who, action_name(a->type));
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
			sim_write_record(sim, h, a);
		else if (h == A)
			sim_do_source(sim, a);
		else
			sim_do_dest(sim, a);
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
	sim_drop_link(sim, MS);
	sim_later(sim, 1000 * MS, start_daemon, (unsigned long)h);
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
			sim_vm_set(sim, B, VM_ABSENT);
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
		.drain_ns = 3 * MS,
		.round_ns = MS,
		.link_up = true,
	};
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
	sim->flow_left_ns = sim_send_ns(sim, sim->ram_bytes);
	sim->pass = 1;
	sim->pass_bytes = sim->ram_bytes;
	sim->ram_budget_ns = sim->cfg.ram_budget_ns;
	sim->link = ++sim->links;
	sim_tell(sim, A, 0, EV_START);
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
