// SPDX-License-Identifier: Apache-2.0
// Whole migrations on virtual time, broken after every single action, in every mode.
#include "engine/cluster_sim.h"
#include "base/test.h"

struct variant {
	const char *name;
	enum mode mode;
	bool gpu, verify;
	unsigned refuse_cont;
	int64_t drain_ns;        // 0: as the simulation has it
	uint64_t ram_dirty_rate; // bytes/s, of RAM_HOT bytes
	uint64_t cap;            // bytes/s, 0: none
};

#define RAM_HOT 200000000 // takes 200 ms: more than the VM's budget of 150 ms

static const struct variant variants[] = {
	{ "precopy", MODE_PRECOPY, true, false, 0, 0, 0, 0 },
	{ "precopy verified", MODE_PRECOPY, true, true, 0, 0, 0, 0 },
	{ "precopy, lock held", MODE_PRECOPY, true, false, 3, 0, 0, 0 },
	{ "precopy, long kernels", MODE_PRECOPY, true, false, 0, 120 * ENGINE_NSEC_MSEC, 0, 0 },
	{ "stop-copy", MODE_STOP_COPY, true, false, 0, 0, 0, 0 },
	{ "single-pass", MODE_SINGLE_PASS, true, false, 0, 0, 0, 0 },
	{ "no vGPU", MODE_PRECOPY, false, false, 0, 0, 0, 0 },
	{ "no vGPU, RAM written fast", MODE_PRECOPY, false, false, 0, 0, 2000000000, 0 },
	{ "precopy, RAM written fast", MODE_PRECOPY, true, false, 0, 0, 2000000000, 0 },
	{ "precopy, long kernels, RAM written", MODE_PRECOPY, true, false, 0, 60 * ENGINE_NSEC_MSEC,
		1000000000, 0 },
	{ "precopy, capped", MODE_PRECOPY, true, false, 0, 0, 0, 640000000 },
};

static struct sim sim;

static void apply(struct sim *to, const struct variant *v)
{
	sim_init(to, v->mode, v->gpu, v->verify);
	to->refuse_cont = v->refuse_cont;
	if (v->drain_ns)
		to->drain_ns = v->drain_ns;
	to->ram_dirty_rate = v->ram_dirty_rate;
	to->ram_hot_bytes = RAM_HOT;
	to->cfg.rate_cap = v->cap;
}

static void prepare(const struct variant *v)
{
	apply(&sim, v);
}

#define EXPECT(cond)                                                                               \
	do {                                                                                       \
		if (!(cond))                                                                       \
			explain(#cond, v);                                                         \
	} while (0)

// Runs the same once more with the trace on, so that the failure reads as a story.
static void explain(const char *what, const struct variant *v)
{
	struct sim again;

	apply(&again, v);
	again.tracing = true;
	for (unsigned i = 0; i < sim.strikes; i++)
		sim_fault_after(&again, sim.strike_at[i], sim.fault[i]);
	sim_run(&again);
	fprintf(stderr, "%s: not so in %s:\n%s", what, v->name, again.trace);
	exit(1);
}

static bool source_lost(enum sim_fault f)
{
	return f == FAULT_SOURCE_VM;
}

// What must hold at the end of any run with one fault.
static void judge(const struct variant *v, enum sim_fault f)
{
	EXPECT(!sim.both_ran);
	EXPECT(sim.illegal == 0);
	EXPECT(sim.share_sum == 0 || sim.share_sum == v->cap);
	EXPECT(sim_running(&sim) <= 1);
	if (source_lost(f))
		return; // the VM's own process died: nothing can run it
	if (sim.source.state == SOURCE_UNANSWERED) {
		// Only in the window between COMMIT and arrival, and only where nothing healed, or the
		// VM died while being started.
		EXPECT(sim.host[0].disk == RECORD_COMMITTED);
		EXPECT(f == FAULT_CUT_EVER || f == FAULT_DEST_VM);
		EXPECT(sim.outcome == OUTCOME_PERSON);
		EXPECT(f != FAULT_DEST_VM || sim.dest.state == DEST_LOST);
		return;
	}
	if (f == FAULT_DEST_VM && sim.dest.state == DEST_RUNNING)
		return; // arrived, and died later: no longer the migration's affair
	EXPECT(sim_running(&sim) == 1);
	int on = sim.host[0].vm == VM_RUNNING ? 0 : 1;
	bool gpu_struck = f == FAULT_SOURCE_GPU || f == FAULT_DEST_GPU;
	EXPECT(!v->gpu || sim.host[on].gpu == GPU_ACTIVE || gpu_struck);
	EXPECT(sim.host[on].disk != RECORD_COMMITTED);
	EXPECT(on == 1 || !sim.dest_begun || dest_ended(&sim.dest) || f == FAULT_CUT_EVER);
	EXPECT(on == 0 || source_ended(&sim.source) || f == FAULT_CUT_EVER);
}

static unsigned actions_of(const struct variant *v)
{
	prepare(v);
	sim_run(&sim);
	EXPECT(sim.outcome == OUTCOME_COMPLETED);
	EXPECT(sim.host[1].vm == VM_RUNNING && sim.host[0].vm == VM_ABSENT);
	EXPECT(sim.illegal == 0);
	EXPECT(sim.share_sum == v->cap);
	return sim.actions;
}

static void test_every_fault_after_every_action(void)
{
	unsigned runs = 0;

	for (unsigned i = 0; i < sizeof variants / sizeof variants[0]; i++) {
		const struct variant *v = &variants[i];
		unsigned n = actions_of(v);
		for (enum sim_fault f = 0; f < FAULT_COUNT; f++)
			for (unsigned k = 1; k <= n; k++, runs++) {
				prepare(v);
				sim_fault_after(&sim, k, f);
				sim_run(&sim);
				judge(v, f);
			}
	}
	CHECK(runs > 1500);
}

// Three faults at once, anywhere: never two, and a healed cluster with living processes runs one.
static void test_three_faults_at_random(void)
{
	uint64_t seed = 1;

	for (unsigned run = 0; run < 4000; run++) {
		const struct variant *v = &variants[run % (sizeof variants / sizeof variants[0])];
		bool died = false, ever = false;
		prepare(v);
		for (unsigned i = 0; i < 3; i++) {
			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			enum sim_fault f = (enum sim_fault)((seed >> 33) % FAULT_COUNT);
			sim_fault_after(&sim, 1 + (unsigned)(seed >> 40) % 40, f);
			died |= f == FAULT_SOURCE_VM || f == FAULT_DEST_VM ||
				f == FAULT_SOURCE_GPU || f == FAULT_DEST_GPU;
			ever |= f == FAULT_CUT_EVER;
		}
		sim_run(&sim);
		EXPECT(!sim.both_ran);
		if (!died && !ever && sim.source.state != SOURCE_UNANSWERED)
			EXPECT(sim_running(&sim) == 1);
	}
}

static void test_a_stun_limit_in_the_stun_resumes_the_source(void)
{
	const struct variant *v = &variants[0];

	prepare(v);
	sim_run(&sim);
	int64_t stop = sim.source.at.stopped, seal = sim.source.at.commit_asked;
	CHECK(seal - stop > 20 * ENGINE_NSEC_MSEC);
	for (int64_t limit = 1; limit <= 2 * (seal - stop); limit += (seal - stop) / 10) {
		prepare(v);
		sim.cfg.limit_ns = limit;
		sim.cfg.target_ns = limit;
		sim.cfg.device_ns = 1; // so that the forecast alone does not refuse
		sim_run(&sim);
		EXPECT(!sim.both_ran);
		EXPECT(sim_running(&sim) == 1);
		EXPECT(sim.outcome == OUTCOME_COMPLETED || sim.outcome == OUTCOME_ABORTED);
	}
}

static void test_long_kernels_end_before_the_stun(void)
{
	const struct variant *v = &variants[3];

	prepare(v);
	sim_run(&sim);
	EXPECT(sim.outcome == OUTCOME_COMPLETED);
	CHECK(sim.source.at.gate_asked < sim.source.at.stopped);
	CHECK(sim.source.at.drained - sim.source.at.stopped < v->drain_ns / 2);
	prepare(&variants[0]); // short ones do not keep the guest waiting for its vGPU
	sim_run(&sim);
	CHECK_EQ(sim.source.at.gate_asked, sim.source.at.stopped);
}

// A pass's end is the VM's stop only when what was written meanwhile fits its budget, here 50 ms: after
// 250 MB, 125 and 62. The gate closes for the last of them, and is open while the second is sent.
static void test_long_kernels_go_on_while_ram_has_passes_to_make(void)
{
	const int64_t drain = 60 * ENGINE_NSEC_MSEC, look = 50 * ENGINE_NSEC_MSEC;

	prepare(&variants[3]);
	sim.drain_ns = drain;
	sim.cfg.ram_budget_ns = 50 * ENGINE_NSEC_MSEC;
	sim.ram_dirty_rate = sim.rate / 2;
	sim_run(&sim);
	CHECK_EQ(sim.outcome, OUTCOME_COMPLETED);
	CHECK_EQ(sim.pass, 3);
	CHECK(sim.source.at.gate_asked < sim.source.at.stopped);
	CHECK(sim.source.at.stopped - sim.source.at.gate_asked <= drain + look);
	// The first pass says nothing of how fast RAM is written: that guess is taken back at once.
	CHECK(sim.gated_ns <= 2 * (drain + look));
}

// The vGPU's rest does not fit the target: the stream may still be held again, so kernels go on.
static void test_long_kernels_go_on_while_the_vgpu_does_not_fit(void)
{
	struct actions out = { .n = 0 };
	struct event ev = { .type = EV_RAM, .ram = { .remaining_bytes = 1000, .pass = 1 } };
	struct source s;

	prepare(&variants[3]);
	source_init(&s, &sim.cfg);
	s.state = SOURCE_FLOWING;
	s.forecast.rate = 1000000000;
	s.kernels_ns = 120 * ENGINE_NSEC_MSEC;
	s.forecast.gpu_bytes = 400000000; // 400 ms, and the target is 300
	source_step(&s, &ev, &out);
	CHECK(!s.gate_asked);
	s.forecast.gpu_bytes = 1000000;
	source_step(&s, &ev, &out);
	CHECK(s.gate_asked);
}

static void test_a_workload_that_writes_too_fast_is_left_alone(void)
{
	const struct variant *v = &variants[0];

	prepare(v);
	sim.dirty_rate = 2 * sim.rate;
	sim.cfg.limit_ns = 500 * ENGINE_NSEC_MSEC; // all of it takes 1 s
	sim_run(&sim);
	EXPECT(sim.outcome == OUTCOME_ABORTED);
	CHECK_STR(sim.source.reason.code, "not-converging");
	CHECK(sim.source.reason.remedies[1][0]);
	CHECK_EQ(sim.source.rounds, 3);
	EXPECT(sim.host[0].vm == VM_RUNNING && sim.host[0].gpu == GPU_ACTIVE);
	// The same with room in the limit moves.
	prepare(v);
	sim.dirty_rate = 2 * sim.rate;
	sim_run(&sim);
	EXPECT(sim.outcome == OUTCOME_COMPLETED);
	// And its stun does not begin with the rest of a round that changes nothing.
	CHECK(sim.source.at.drained - sim.source.at.stopped < 20 * ENGINE_NSEC_MSEC);
}

// Nothing is known of the link, and no page is ever sent: its objects' state tells the rate.
static void test_a_vgpu_that_holds_objects_and_no_memory_moves(void)
{
	const struct variant *v = &variants[0];

	prepare(v);
	sim.gpu_bytes = 0;
	sim.object_bytes = 20000;
	sim_run(&sim);
	EXPECT(sim.outcome == OUTCOME_COMPLETED);
	CHECK(!sim.source.forced);
}

// What so small rounds reach is no reason to give up the RAM's rest when the guest is stopped.
static void test_small_rounds_that_take_long_do_not_refuse_the_stun(void)
{
	const struct variant *v = &variants[0];

	prepare(v);
	sim.gpu_bytes = 4096;
	sim.round_ns = 300 * ENGINE_NSEC_MSEC;
	sim.ram_dirty_rate = sim.rate / 2;
	sim.ram_hot_bytes = RAM_HOT;
	sim_run(&sim);
	EXPECT(sim.outcome == OUTCOME_COMPLETED);
}

// A round that finds only zero pages sends nothing that could be measured.
static void test_a_vgpu_that_is_rewritten_with_zeros_moves(void)
{
	const struct variant *v = &variants[0];

	prepare(v);
	sim.zeros = true;
	sim.dirty_rate = 2 * sim.rate;
	sim_run(&sim);
	EXPECT(sim.outcome == OUTCOME_COMPLETED);
}

enum { NO_GPU = 6, NO_GPU_RAM_FAST, GPU_RAM_FAST }; // of the variants

// Passes 2, 3 and 4 have the same to send: the VM is let stop when the fourth begins.
static void test_ram_written_too_fast_is_switched_over_when_that_fits(void)
{
	const struct variant *v = &variants[NO_GPU_RAM_FAST];

	prepare(v);
	sim.cfg.target_ns = 200 * ENGINE_NSEC_MSEC;
	sim_run(&sim);
	EXPECT(sim.outcome == OUTCOME_COMPLETED);
	CHECK(sim.source.forced);
	CHECK_EQ(sim.source.ram.pass, 4);
	CHECK(sim.source.at.stopped - sim.source.ram.began_ns <= 101 * ENGINE_NSEC_MSEC);
	int64_t stun = sim.dest.at.running - sim.source.at.stopped;
	int64_t off = sim.source.forecast_at_switch_ns - stun;
	CHECK(off > -30 * ENGINE_NSEC_MSEC && off < 30 * ENGINE_NSEC_MSEC);
	// With a target that the rest fits it is no forced switch, only one that the VM must be told.
	prepare(v);
	sim_run(&sim);
	EXPECT(sim.outcome == OUTCOME_COMPLETED);
	CHECK(sim.source.ram.forced && !sim.source.forced);
	prepare(&variants[GPU_RAM_FAST]);
	sim_run(&sim);
	EXPECT(sim.outcome == OUTCOME_COMPLETED);
	CHECK(sim.source.ram.forced);
}

static void test_ram_written_too_fast_for_the_limit_is_left_alone(void)
{
	for (int i = NO_GPU_RAM_FAST; i <= GPU_RAM_FAST; i++) {
		const struct variant *v = &variants[i];
		prepare(v);
		sim.cfg.limit_ns = 220 * ENGINE_NSEC_MSEC;
		sim.cfg.target_ns = 210 * ENGINE_NSEC_MSEC;
		sim_run(&sim);
		EXPECT(sim.outcome == OUTCOME_ABORTED);
		CHECK_STR(sim.source.reason.code, "not-converging");
		CHECK_STR(sim.source.phase, "flowing");
		CHECK(strstr(sim.source.reason.message, "RAM"));
		CHECK(sim.source.reason.remedies[0][0] && sim.source.reason.remedies[1][0]);
		CHECK_EQ(sim.source.at.stopped, 0);
		CHECK_EQ(sim.source.ram.pass, 4);
		EXPECT(sim.host[0].vm == VM_RUNNING);
	}
}

// It was let stop and finds that its rest never fits: three passes more, and that was it.
static void test_a_vm_that_may_stop_and_does_not_is_left_alone(void)
{
	const struct variant *v = &variants[NO_GPU_RAM_FAST];

	prepare(v);
	sim.never_stops = true;
	sim_run(&sim);
	EXPECT(sim.outcome == OUTCOME_ABORTED);
	CHECK_STR(sim.source.reason.code, "not-converging");
	CHECK_EQ(sim.source.ram.pass, 7);
	EXPECT(sim.host[0].vm == VM_RUNNING);
}

// Slower than the link: each pass is shorter than the one before, and nobody is forced.
static void test_ram_that_converges_is_given_its_passes(void)
{
	const struct variant *v = &variants[NO_GPU];

	prepare(v);
	sim.ram_dirty_rate = sim.rate / 10 * 8;
	sim_run(&sim);
	EXPECT(sim.outcome == OUTCOME_COMPLETED);
	CHECK(!sim.source.ram.forced && !sim.source.forced);
	CHECK_EQ(sim.pass, 3); // 250 MB, 200, 160; 128 MB take less than the budget's 150 ms
}

// 4 s of RAM, and a workload that writes next to nothing: few rounds, and the last one is fresh.
static void test_rounds_that_bring_nothing_are_paced(void)
{
	const struct variant *v = &variants[0];

	prepare(v);
	sim.ram_bytes = 4000000000;
	sim.dirty_rate = 1000000;
	sim_run(&sim);
	EXPECT(sim.outcome == OUTCOME_COMPLETED);
	CHECK(sim.source.rounds >= 8 && sim.source.rounds <= 20);
	int64_t age = sim.source.at.stopped - sim.source.pace.ended_ns;
	CHECK(age < PACE_MIN_NS + 10 * ENGINE_NSEC_MSEC);
}

static void test_stop_copy_over_the_limit_is_refused_before_the_stun(void)
{
	const struct variant *v = &variants[4];

	prepare(v);
	sim.cfg.rate = sim.rate;
	sim.cfg.limit_ns = 900 * ENGINE_NSEC_MSEC;
	sim_run(&sim);
	EXPECT(sim.outcome == OUTCOME_ABORTED);
	CHECK_STR(sim.source.reason.code, "stun-limit");
	CHECK_EQ(sim.source.at.stopped, 0);
	CHECK_EQ(sim.source.rounds, 0);
}

static void test_seal_of_other_pages_or_another_migration_aborts(void)
{
	for (int which = 0; which < 2; which++) {
		struct source s;
		struct actions out = { .n = 0 };
		prepare(&variants[0]);
		source_init(&s, &sim.cfg);
		s.state = SOURCE_HANDOVER;
		s.waits = SOURCE_WAIT_SEALED;
		struct event ev = { .type = EV_SEALED };
		strcpy(ev.sealed.migration, sim.cfg.id);
		strcpy(s.final.root, "aa");
		strcpy(ev.sealed.root, which ? "aa" : "ab");
		if (which)
			ev.sealed.migration[0] ^= 1;
		source_step(&s, &ev, &out);
		CHECK_EQ(s.state, SOURCE_ABORTING);
		CHECK_STR(s.reason.code, which ? "wrong-migration" : "root-mismatch");
	}
}

static void test_the_destination_refuses_a_commit_of_another_epoch(void)
{
	struct dest d;
	struct dest_config cfg = { .id = "ab", .epoch = 7, .gpu = true };

	for (int delta = -1; delta <= 1; delta++) {
		struct actions out = { .n = 0 };
		dest_init(&d, &cfg);
		d.state = DEST_SEALED;
		struct event ev = { .type = EV_COMMITTED };
		strcpy(ev.decision.migration, "ab");
		ev.decision.epoch = (uint64_t)(7 + delta);
		dest_step(&d, &ev, &out);
		CHECK_EQ(d.state, delta ? DEST_SEALED : DEST_OWNING);
	}
}

int main(void)
{
	RUN(test_every_fault_after_every_action);
	RUN(test_three_faults_at_random);
	RUN(test_a_stun_limit_in_the_stun_resumes_the_source);
	RUN(test_long_kernels_end_before_the_stun);
	RUN(test_long_kernels_go_on_while_ram_has_passes_to_make);
	RUN(test_long_kernels_go_on_while_the_vgpu_does_not_fit);
	RUN(test_a_workload_that_writes_too_fast_is_left_alone);
	RUN(test_a_vgpu_that_holds_objects_and_no_memory_moves);
	RUN(test_small_rounds_that_take_long_do_not_refuse_the_stun);
	RUN(test_a_vgpu_that_is_rewritten_with_zeros_moves);
	RUN(test_ram_written_too_fast_is_switched_over_when_that_fits);
	RUN(test_ram_written_too_fast_for_the_limit_is_left_alone);
	RUN(test_a_vm_that_may_stop_and_does_not_is_left_alone);
	RUN(test_ram_that_converges_is_given_its_passes);
	RUN(test_rounds_that_bring_nothing_are_paced);
	RUN(test_stop_copy_over_the_limit_is_refused_before_the_stun);
	RUN(test_seal_of_other_pages_or_another_migration_aborts);
	RUN(test_the_destination_refuses_a_commit_of_another_epoch);
	return 0;
}
