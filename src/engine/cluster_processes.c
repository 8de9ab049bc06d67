// SPDX-License-Identifier: Apache-2.0
// The simulated processes: what each action does to them, and what they report.
#include "engine/cluster_impl.h"

#define ROOT "00112233445566778899aabbccddeeff"

void sim_vm_set(struct sim *sim, int host, enum sim_vm state)
{
	sim->host[host].vm = state;
	if (sim->host[A].vm == VM_RUNNING && sim->host[B].vm == VM_RUNNING)
		sim->both_ran = true;
}

bool sim_vm_alive(enum sim_vm v)
{
	return v != VM_ABSENT && v != VM_DEAD;
}

bool sim_gpu_alive(enum sim_gpu g)
{
	return g != GPU_ABSENT && g != GPU_DEAD;
}

void sim_fail_event(struct event *ev, const char *code)
{
	if (ev)
		ferry_fail(&ev->error, EIO, code, "simulated");
}

// The data connections break: each VM and vGPU behaves as measured (docs/migration.md).
void sim_break_stream(struct sim *sim)
{
	if (!sim->stream_intact)
		return;
	sim->stream_intact = false;
	sim->flows = false;
	sim->stream++;
	if (sim->host[A].vm == VM_DEVICE) { // fails, and resumes by itself
		sim_vm_set(sim, A, VM_RUNNING);
		sim_tell(sim, A, MS, EV_VM_RESUMED);
	}
	if (sim->host[B].vm == VM_INCOMING) { // ends
		sim_vm_set(sim, B, VM_DEAD);
		sim_tell(sim, B, MS, EV_VM_GONE);
	}
	sim_fail_event(sim_tell(sim, A, MS, EV_FAILED), "channel");
	if (sim->host[B].gpu == GPU_INCOMING)
		sim_fail_event(sim_tell(sim, B, MS, EV_FAILED), "channel");
}

void sim_drop_link(struct sim *sim, int64_t delay)
{
	if (!sim->link)
		return;
	sim->link = 0;
	for (int h = 0; h < 2; h++)
		if (sim->host[h].up)
			sim_tell(sim, h, delay, EV_LINK_LOST);
}

#define REST_BYTES 1000000 // what a VM has left that writes next to nothing

static void stop_vm(struct sim *sim, uint64_t rest_bytes)
{
	if (sim->host[A].gpu == GPU_GATED)
		sim->gated_ns += sim->now - sim->gate_at;
	sim->rest_bytes = rest_bytes > REST_BYTES ? rest_bytes : REST_BYTES;
	sim_vm_set(sim, A, VM_STOPPED);
	sim_tell(sim, A, 0, EV_VM_STOPPED);
	sim_tell(sim, A, MS, EV_VM_HELD)->ram.remaining_bytes = sim->rest_bytes;
}

static uint64_t flow_left(const struct sim *sim)
{
	int64_t left = sim->flow_left_ns - (sim->now - sim->flow_since);

	return left > 0 ? (uint64_t)left * (sim->rate / 1000000) / 1000 : 0;
}

static void tell_ram(struct sim *sim)
{
	struct event_ram *ram = &sim_tell(sim, A, 0, EV_RAM)->ram;

	ram->remaining_bytes = flow_left(sim);
	ram->sent_bytes = sim->stream_bytes + sim->pass_bytes - ram->remaining_bytes;
	ram->pass = sim->pass;
}

// What the guest wrote while the pass went on, at most all that it ever writes.
static uint64_t written(const struct sim *sim)
{
	int64_t ns = sim_send_ns(sim, sim->pass_bytes - flow_left(sim));
	uint64_t bytes = (uint64_t)((double)sim->ram_dirty_rate * (double)ns / 1e9);

	return bytes < sim->ram_hot_bytes ? bytes : sim->ram_hot_bytes;
}

// A pass is over when nothing is left of it: the VM looks what was written, and stops if that fits.
static void flow_end(struct sim *sim, unsigned long stream)
{
	uint64_t dirty = written(sim);

	if (stream != sim->stream || sim->host[A].vm != VM_RUNNING)
		return;
	if (sim_send_ns(sim, dirty) <= sim->ram_budget_ns) {
		stop_vm(sim, dirty);
		return;
	}
	sim->stream_bytes += sim->pass_bytes;
	sim->pass_bytes = dirty;
	sim->pass++;
	sim->flow_left_ns = sim_send_ns(sim, dirty);
	sim->flow_since = sim->now;
	sim_later(sim, sim->flow_left_ns, flow_end, sim->stream);
	tell_ram(sim);
}

// The VM looks again with its new budget.
static void force_vm(struct sim *sim, unsigned long arg)
{
	uint64_t rest = flow_left(sim) + written(sim);

	(void)arg;
	if (sim->flows && sim->host[A].vm == VM_RUNNING && !sim->never_stops &&
		sim_send_ns(sim, rest) <= sim->ram_budget_ns) {
		sim->stream++;
		stop_vm(sim, rest);
	}
}

// How far the VM's stream is, as a driver asks for it.
static void flow_tick(struct sim *sim, unsigned long stream)
{
	if (stream != sim->stream || sim->host[A].vm != VM_RUNNING)
		return;
	if (flow_left(sim) > 0)
		tell_ram(sim);
	sim_later(sim, 50 * MS, flow_tick, stream);
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
	sim_later(sim, sim->flow_left_ns, flow_end, sim->stream);
	flow_tick(sim, sim->stream);
}

static void vm_acknowledged(struct sim *sim, unsigned long arg)
{
	(void)arg;
	if (sim->host[A].vm != VM_DEVICE || !sim->stream_intact)
		return;
	sim_vm_set(sim, A, VM_COMPLETED);
	sim_tell(sim, A, 0, EV_VM_COMPLETED);
}

static void vm_arrived(struct sim *sim, unsigned long arg)
{
	(void)arg;
	if (!sim->stream_intact || sim->host[B].vm != VM_INCOMING || sim->host[A].vm != VM_DEVICE)
		return;
	sim_vm_set(sim, B, VM_LOADED);
	sim_tell(sim, B, 0, EV_VM_LOADED);
	sim_later(sim, MS, vm_acknowledged, 0);
}

static void vm_continue(struct sim *sim)
{
	if (sim->host[A].vm != VM_STOPPED)
		return;
	if (!sim->stream_intact) { // notices now, and resumes by itself
		sim_vm_set(sim, A, VM_RUNNING);
		sim_tell(sim, A, MS, EV_VM_RESUMED);
		return;
	}
	sim_vm_set(sim, A, VM_DEVICE);
	sim_later(sim, 19 * MS + sim_send_ns(sim, sim->rest_bytes), vm_arrived, 0);
}

static void final_arrived(struct sim *sim, unsigned long arg)
{
	(void)arg;
	if (!sim->stream_intact || sim->host[B].gpu != GPU_INCOMING ||
		sim->host[A].gpu != GPU_GATED)
		return;
	sim->host[B].gpu = GPU_RECEIVED;
	strcpy(sim_tell(sim, B, 0, EV_GPU_RECEIVED)->sealed.root, ROOT);
	strcpy(sim_tell(sim, A, MS, EV_FINAL_DONE)->final.root, ROOT);
}

int64_t sim_send_ns(const struct sim *sim, uint64_t bytes)
{
	return (int64_t)(bytes * 1000 / (sim->rate / 1000000));
}

static void run_round(struct sim *sim, uint32_t n)
{
	uint64_t bytes =
		n == 1 ? sim->gpu_bytes : sim->source.forecast.gpu_bytes - sim->object_bytes;
	int64_t ns = sim_send_ns(sim, bytes + sim->object_bytes) + sim->round_ns;
	uint64_t dirty = (uint64_t)((double)sim->dirty_rate * (double)ns / 1e9);

	if (!sim->stream_intact || !sim_gpu_alive(sim->host[A].gpu))
		return; // its failure was told already
	struct event *ev = sim_tell(sim, A, ns, EV_ROUND_DONE);
	ev->round.n = n;
	ev->round.bytes = sim->zeros ? 0 : bytes;
	ev->round.object_bytes = sim->object_bytes;
	ev->round.ns = ns;
	ev->round.drain_ns = sim->drain_ns;
	ev->round.dirty_bytes = dirty < sim->gpu_bytes ? dirty : sim->gpu_bytes;
}

void sim_write_record(struct sim *sim, int h, const struct action *a)
{
	struct sim_host *host = &sim->host[h];
	bool fails = host->disk_fails || host->disk_lies;

	if (!host->disk_fails) {
		host->disk = a->write.record;
		host->disk_epoch = a->write.epoch;
	}
	host->disk_fails = host->disk_lies = false;
	sim_tell(sim, h, MS / 4, fails ? EV_RECORD_FAILED : EV_RECORD_WRITTEN)->record =
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
	if (!sim_vm_alive(sim->host[A].vm)) {
		sim_tell(sim, A, MS, EV_VM_GONE);
		return;
	}
	sim_vm_set(sim, A, VM_RUNNING);
	sim_tell(sim, A, 5 * MS, EV_VM_RESUMED);
}

static void resume_gpu(struct sim *sim)
{
	if (sim_gpu_alive(sim->host[A].gpu))
		sim->host[A].gpu = GPU_ACTIVE;
	sim_tell(sim, A, 2 * MS, sim_gpu_alive(sim->host[A].gpu) ? EV_GPU_OPEN : EV_GPU_GONE);
	sim_break_stream(sim);
}

static void connect_peer(struct sim *sim)
{
	if (!sim->link_up || sim->swallows || !sim->host[B].up) {
		sim_tell(sim, A, 100 * MS, EV_LINK_LOST);
		return;
	}
	sim->link = ++sim->links;
	sim_tell(sim, A, MS, EV_LINK_UP);
	if (sim->dest_begun)
		sim_tell(sim, B, MS, EV_LINK_UP);
}

static void close_gate(struct sim *sim)
{
	if (!sim_gpu_alive(sim->host[A].gpu))
		return;
	sim->host[A].gpu = GPU_GATED;
	sim->gate_at = sim->now;
	sim_tell(sim, A, sim->drain_ns, EV_GATE_CLOSED)->drain_ns = sim->drain_ns;
}

static void open_gate(struct sim *sim)
{
	sim_forget(sim, EV_GATE_CLOSED);
	if (sim->host[A].gpu != GPU_GATED)
		return;
	sim->host[A].gpu = GPU_ACTIVE;
	sim->gated_ns += sim->now - sim->gate_at;
}

void sim_do_source(struct sim *sim, const struct action *a)
{
	switch (a->type) {
	case ACT_PEER_PREPARE:
		sim_message(sim, B, EV_START);
		return;
	case ACT_ARM:
		sim->stream_intact = sim->link != 0 && sim_vm_alive(sim->host[B].vm);
		struct event *armed = sim_tell(sim, A, 2 * MS, EV_ARMED);
		armed->armed.gpu_bytes = sim->gpu_bytes;
		armed->armed.ram_bytes = sim->ram_bytes;
		return;
	case ACT_SHARE:
		sim->share_sum = a->share.gpu + a->share.ram;
		return;
	case ACT_ROUND:
		run_round(sim, a->round);
		return;
	case ACT_STREAM_RELEASE:
	case ACT_STREAM_HOLD:
		flow(sim, a->type == ACT_STREAM_RELEASE);
		return;
	case ACT_STREAM_FORCE:
		if (!sim->never_stops)
			sim->ram_budget_ns = a->budget_ns;
		sim_later(sim, 100 * MS, force_vm, 0);
		return;
	case ACT_GATE_CLOSE:
		close_gate(sim);
		return;
	case ACT_GATE_OPEN:
		open_gate(sim);
		return;
	case ACT_PORTS_DRAIN:
		if (sim_gpu_alive(sim->host[A].gpu))
			sim_tell(sim, A, 2 * MS, EV_PORTS_DRAINED);
		return;
	case ACT_PEER_SWITCH:
		sim_message(sim, B, EV_SWITCH);
		return;
	case ACT_VM_CONTINUE:
		vm_continue(sim);
		return;
	case ACT_FINAL:
		sim_later(sim, sim_send_ns(sim, sim->source.forecast.gpu_bytes), final_arrived, 0);
		return;
	case ACT_VERIFY:
		if (sim_gpu_alive(sim->host[A].gpu) && sim_gpu_alive(sim->host[B].gpu))
			sim_tell(sim, A, 50 * MS, EV_VERIFIED);
		return;
	case ACT_PEER_COMMITTED:
		decision(sim, sim_message(sim, B, EV_COMMITTED));
		return;
	case ACT_PEER_ABORTED:
		decision(sim, sim_message(sim, B, EV_ABORTED));
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
		sim_vm_set(sim, A, VM_ABSENT);
		sim->host[A].gpu = GPU_ABSENT;
		sim_tell(sim, A, 5 * MS, EV_RELEASED);
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
	if (!sim_vm_alive(sim->host[B].vm)) {
		return; // its death was told
	} else if (sim->refuse_cont) {
		sim->refuse_cont--;
		sim_fail_event(sim_tell(sim, B, MS, EV_CONT_REFUSED), "lock");
	} else {
		sim_vm_set(sim, B, VM_RUNNING);
		sim_tell(sim, B, 3 * MS, EV_VM_RESUMED);
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
	decision(sim, sim_tell(sim, B, MS / 2, t ? t : EV_PEER_NONE));
}

static void discard(struct sim *sim)
{
	sim_vm_set(sim, B, VM_ABSENT);
	sim->host[B].gpu = GPU_ABSENT;
	sim_break_stream(sim);
	if (sim->host[B].disk != RECORD_NEVER_RAN)
		sim->host[B].disk = RECORD_NONE;
	sim_tell(sim, B, 5 * MS, EV_DISCARDED);
}

static void inspect(struct sim *sim)
{
	enum sim_vm v = sim->host[B].vm;
	bool gone = !sim_vm_alive(v) || (sim->cfg.gpu && !sim_gpu_alive(sim->host[B].gpu));

	sim_tell(sim, B, MS, gone ? EV_VM_GONE : v == VM_RUNNING ? EV_VM_RESUMED : EV_VM_LOADED);
}

void sim_do_dest(struct sim *sim, const struct action *a)
{
	static const enum event_type answers[] = { EV_PEER_RUNNING, EV_PEER_PENDING,
		EV_PEER_NEVER_RAN, EV_PEER_LOST };

	switch (a->type) {
	case ACT_START_INCOMING:
		sim_vm_set(sim, B, VM_INCOMING);
		sim->host[B].gpu = sim->cfg.gpu ? GPU_INCOMING : GPU_ABSENT;
		sim_tell(sim, B, 100 * MS, EV_STARTED);
		return;
	case ACT_ANSWER_PREPARED:
		sim_message(sim, A, EV_PREPARED);
		return;
	case ACT_SEND_SEALED:;
		struct event *ev = sim_message(sim, A, EV_SEALED);
		if (ev) {
			strcpy(ev->sealed.migration, sim->cfg.id);
			strcpy(ev->sealed.root, sim->dest.root);
		}
		return;
	case ACT_SEND_FAILED:
		sim_fail_event(sim_message(sim, A, EV_FAILED), "destination");
		return;
	case ACT_OWN_GPU:
		if (sim_gpu_alive(sim->host[B].gpu)) {
			sim->host[B].gpu = GPU_ACTIVE;
			sim_tell(sim, B, 2 * MS, EV_GPU_OWNED);
		}
		return;
	case ACT_CONT:
		vm_cont(sim);
		return;
	case ACT_ASK:
		sim_later(sim, MS / 2, answer_ask, 0);
		return;
	case ACT_ANSWER_COMMITTED:
		sim_message(sim, A, answers[a->answer]);
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
