// SPDX-License-Identifier: Apache-2.0
// vGPUs on one device, in virtual time. The device is the worst one: it runs what it is given in the
// order in which it got it, and nothing can be taken back.
#include "vgpu/tokens/turns.h"
#include "base/test.h"

#define US     1000ll
#define MS     (1000 * US)
#define S      (1000 * MS)
#define TICK   (20 * US)
#define GUESTS 6
#define FIFO   64
#define NOBODY (-1)

// What a guest does: kernels of one length, again and again.
struct guest {
	int64_t kernel_ns;
	int64_t think_ns; // after each it waits for the end and thinks; 0: a full queue
	int64_t from_ns, until_ns;
	bool dead;    // killed
	bool stopped; // is there and does nothing
	bool rude;    // compromised: asks nobody
	bool resting; // its gate is closed
	// The simulation's.
	struct turns turns;
	bool waiting, busy, wants;
	int64_t look_at_ns, next_at_ns;
	unsigned in_flight;
	int64_t ran_ns;                // device time that it got
	int64_t waited_ns, longest_ns; // since it wanted the device
};

static struct {
	struct guest g[GUESTS];
	enum turns_policy policy;
	int64_t now;
	int holder;
	uint64_t hand;
	int fifo[FIFO]; // whose kernels are in the device
	unsigned n_fifo;
	int64_t ends_at;                     // of the first
	void (*spoil)(struct turns_view *v); // what a hostile process writes
} w;

static void reset(enum turns_policy policy)
{
	memset(&w, 0, sizeof w);
	w.policy = policy;
	w.holder = NOBODY;
	w.now = S; // since boot
}

static bool exists(const struct guest *g)
{
	return g->kernel_ns && !g->dead;
}

static void look(struct turns_view *v, unsigned me)
{
	*v = (struct turns_view){
		.now_ns = w.now, .policy = w.policy, .me = me, .holder = w.holder, .hand = w.hand
	};
	for (unsigned i = 0; i < GUESTS; i++) {
		v->live |= exists(&w.g[i]) ? 1ull << i : 0;
		v->waiting |= w.g[i].waiting ? 1ull << i : 0;
		v->busy |= w.g[i].busy ? 1ull << i : 0;
		v->used_ns[i] = w.g[i].turns.used_ns;
	}
	if (w.spoil)
		w.spoil(v);
}

static bool step(unsigned me)
{
	struct guest *g = &w.g[me];
	struct turns_need n = { g->wants, g->resting, g->in_flight > 0,
		g->in_flight * g->kernel_ns };
	struct turns_view v;

	look(&v, me);
	struct turns_does d = turns_step(&g->turns, &v, &n);
	g->waiting = d.waiting;
	g->busy = d.busy;
	g->look_at_ns = d.look_at_ns;
	if (d.hand != TURNS_KEEP) {
		w.holder = d.hand == TURNS_TAKE ? (int)me : d.to;
		w.hand++;
		if (w.holder != NOBODY)
			w.g[w.holder].look_at_ns = w.now; // it is woken
	}
	return d.may_give;
}

static void give(unsigned me)
{
	struct guest *g = &w.g[me];

	if (!w.n_fifo)
		w.ends_at = w.now + g->kernel_ns;
	CHECK(w.n_fifo < FIFO);
	w.fifo[w.n_fifo++] = (int)me;
	g->in_flight++;
	g->waited_ns = 0;
}

static void guest_acts(unsigned me)
{
	struct guest *g = &w.g[me];
	bool on = w.now >= w.g[me].from_ns && (!g->until_ns || w.now < g->until_ns);
	unsigned depth = g->think_ns ? 1 : 2;

	if (!exists(g) || g->stopped)
		return;
	g->wants = on && !g->resting && g->in_flight < depth && w.now >= g->next_at_ns;
	if (g->rude && g->wants) {
		give(me);
		return;
	}
	while (g->wants && step(me)) {
		give(me);
		g->wants = g->in_flight < depth && !g->think_ns;
	}
	if (!g->wants || (g->look_at_ns && w.now >= g->look_at_ns))
		step(me);
	if (g->wants && !g->in_flight)
		g->waited_ns += TICK;
	if (g->waited_ns > g->longest_ns)
		g->longest_ns = g->waited_ns;
}

static void device_runs(void)
{
	while (w.n_fifo && w.now >= w.ends_at) {
		struct guest *g = &w.g[w.fifo[0]];
		memmove(w.fifo, w.fifo + 1, --w.n_fifo * sizeof w.fifo[0]);
		g->in_flight--;
		g->ran_ns += g->kernel_ns;
		g->next_at_ns = w.now + g->think_ns;
		turns_measured(&g->turns, g->kernel_ns);
		if (w.n_fifo)
			w.ends_at = w.now + w.g[w.fifo[0]].kernel_ns;
	}
}

static void run(int64_t ns)
{
	for (int64_t end = w.now + ns; w.now < end; w.now += TICK) {
		device_runs();
		for (unsigned i = 0; i < GUESTS; i++)
			guest_acts((i + (unsigned)(w.now / TICK)) % GUESTS);
	}
}

// Of the device's time that anybody got, in percent.
static int64_t percent(unsigned i)
{
	int64_t all = 0;

	for (unsigned k = 0; k < GUESTS; k++)
		all += w.g[k].ran_ns;
	return all ? w.g[i].ran_ns * 100 / all : 0;
}

#define CHECK_BETWEEN(x, low, high) CHECK((x) >= (low) && (x) <= (high))

static void test_alone_costs_nothing(void)
{
	reset(TURNS_BEST_EFFORT);
	w.g[0] = (struct guest){ .kernel_ns = MS };
	run(S);
	CHECK_BETWEEN(w.g[0].ran_ns, 970 * MS, S);
	CHECK_EQ(w.g[0].turns.used_ns, 0);
	CHECK_EQ(w.g[0].longest_ns, 0);
}

static void test_a_flood_of_long_kernels_leaves_the_other_its_half(void)
{
	reset(TURNS_BEST_EFFORT);
	w.g[0] = (struct guest){ .kernel_ns = 20 * MS };
	w.g[1] = (struct guest){ .kernel_ns = 200 * US };
	run(4 * S);
	CHECK_BETWEEN(percent(1), 45, 55);
	CHECK_BETWEEN(w.g[0].ran_ns + w.g[1].ran_ns, 3600 * MS, 4 * S);
}

// One that waits for each kernel wants less than half; what it does not use the flood has.
static void test_who_waits_for_each_kernel_has_its_share_too(void)
{
	reset(TURNS_BEST_EFFORT);
	w.g[0] = (struct guest){ .kernel_ns = 20 * MS };
	w.g[1] = (struct guest){ .kernel_ns = 200 * US, .think_ns = 60 * US };
	run(4 * S);
	CHECK_BETWEEN(percent(1), 30, 55);
	CHECK(w.g[1].longest_ns <= TURNS_LEASE_NS + MS);
}

static void test_six_have_a_sixth_each(void)
{
	static const int64_t kernels[GUESTS] = { 20 * MS, 200 * US, 3 * MS, MS, 7 * MS, 400 * US };

	reset(TURNS_BEST_EFFORT);
	for (int i = 0; i < GUESTS; i++)
		w.g[i] = (struct guest){ .kernel_ns = kernels[i] };
	run(6 * S);
	for (unsigned i = 0; i < GUESTS; i++)
		CHECK_BETWEEN(percent(i), 13, 20);
}

static void test_ten_seconds_are_paid_back(void)
{
	reset(TURNS_BEST_EFFORT);
	w.g[0] = (struct guest){ .kernel_ns = 10 * S, .think_ns = TICK, .until_ns = 2 * S };
	w.g[1] = (struct guest){ .kernel_ns = MS, .from_ns = 3 * S };
	run(11 * S);
	w.g[0].kernel_ns = MS; // and now goes on with short ones
	w.g[0].until_ns = w.g[0].think_ns = 0;
	int64_t before = w.g[0].ran_ns, others = w.g[1].ran_ns;
	run(7 * S);
	CHECK(w.g[0].ran_ns - before < 700 * MS);
	CHECK(w.g[1].ran_ns - others > 6 * S);
	run(8 * S); // by now it is even, and both have their half
	before = w.g[0].ran_ns;
	run(2 * S);
	CHECK_BETWEEN(w.g[0].ran_ns - before, 800 * MS, 1200 * MS);
}

static void test_idle_time_earns_no_credit(void)
{
	reset(TURNS_BEST_EFFORT);
	w.g[0] = (struct guest){ .kernel_ns = MS };
	w.g[1] = (struct guest){ .kernel_ns = MS };
	w.g[2] = (struct guest){ .kernel_ns = MS, .from_ns = 6 * S };
	run(5 * S);
	int64_t before = w.g[0].ran_ns;
	run(S);
	CHECK_BETWEEN(w.g[0].ran_ns - before, 270 * MS, 400 * MS);
}

static void test_a_killed_holder_holds_nobody_up(void)
{
	reset(TURNS_BEST_EFFORT);
	w.g[0] = (struct guest){ .kernel_ns = MS };
	w.g[1] = (struct guest){ .kernel_ns = MS };
	run(100 * MS);
	unsigned dead = (unsigned)w.holder;
	w.g[dead].dead = true;
	w.g[1 - dead].longest_ns = 0;
	int64_t before = w.g[1 - dead].ran_ns;
	run(S);
	CHECK(w.g[1 - dead].ran_ns - before > 900 * MS);
	CHECK(w.g[1 - dead].longest_ns <= 2 * TURNS_LEASE_NS);
}

static void test_a_stopped_one_leaves_a_slice_of_each_lease(void)
{
	reset(TURNS_BEST_EFFORT);
	w.g[0] = (struct guest){ .kernel_ns = MS / 2 };
	w.g[1] = (struct guest){ .kernel_ns = MS / 2 };
	run(100 * MS);
	w.g[0].stopped = w.g[0].waiting = true;
	w.g[0].busy = false;
	int64_t before = w.g[1].ran_ns;
	w.g[1].longest_ns = 0;
	run(S);
	CHECK(w.g[1].ran_ns - before > S / (2 * TURNS_LEASE_NS) * TURNS_SLICE_NS / 2);
	CHECK(w.g[1].longest_ns <= 3 * TURNS_LEASE_NS);
}

static void test_a_closed_gate_gives_the_turn_back(void)
{
	reset(TURNS_BEST_EFFORT);
	w.g[0] = (struct guest){ .kernel_ns = MS };
	w.g[1] = (struct guest){ .kernel_ns = MS };
	run(100 * MS);
	w.g[0].resting = true;
	run(20 * MS);
	CHECK(w.holder != 0 && !w.g[0].waiting && !w.g[0].busy && !w.g[0].in_flight);
	int64_t before = w.g[1].ran_ns;
	run(S);
	CHECK(w.g[1].ran_ns - before > 950 * MS);
}

static void test_capped_shares_hold_for_one_alone(void)
{
	reset(TURNS_FIXED_SHARE);
	w.g[0] = (struct guest){ .kernel_ns = MS, .turns = { .share_percent = 25 } };
	run(4 * S);
	CHECK_BETWEEN(w.g[0].ran_ns, 900 * MS, 1100 * MS);
	reset(TURNS_EQUAL_SHARE);
	w.g[0] = (struct guest){ .kernel_ns = MS };
	w.g[1] = w.g[2] = w.g[3] = (struct guest){ .kernel_ns = MS, .from_ns = 100 * S };
	run(4 * S);
	CHECK_BETWEEN(w.g[0].ran_ns, 900 * MS, 1100 * MS);
}

static void test_fixed_shares_side_by_side(void)
{
	reset(TURNS_FIXED_SHARE);
	w.g[0] = (struct guest){ .kernel_ns = 10 * MS, .turns = { .share_percent = 50 } };
	w.g[1] = (struct guest){ .kernel_ns = MS, .turns = { .share_percent = 25 } };
	w.g[2] = (struct guest){ .kernel_ns = MS, .turns = { .share_percent = 12 } };
	run(8 * S);
	CHECK_BETWEEN(w.g[0].ran_ns, 3500 * MS, 4200 * MS);
	CHECK_BETWEEN(w.g[1].ran_ns, 1750 * MS, 2200 * MS);
	CHECK_BETWEEN(w.g[2].ran_ns, 800 * MS, 1100 * MS);
}

// ---- a compromised process: it writes what it likes, and is there

static void say_everything(struct turns_view *v)
{
	v->holder = 5;
	v->waiting = v->busy = ~0ull;
	v->used_ns[5] = 0;
}

static void new_hands_all_the_time(struct turns_view *v)
{
	say_everything(v);
	v->hand = (uint64_t)v->now_ns;
}

static void time_is_a_lie(struct turns_view *v)
{
	for (unsigned i = 0; i < TURNS_MAX; i++)
		if (i != v->me)
			v->used_ns[i] = v->now_ns % 2 ? 0 : v->now_ns;
}

static void hear_lies(void (*spoil)(struct turns_view *v))
{
	reset(TURNS_BEST_EFFORT);
	w.g[0] = (struct guest){ .kernel_ns = MS };
	w.g[5] = (struct guest){ .kernel_ns = MS, .from_ns = 100 * S };
	w.spoil = spoil;
	run(4 * S);
	CHECK(w.g[0].ran_ns >= 5 * MS);
	CHECK(w.g[0].longest_ns <= (GUESTS + 1) * 2 * TURNS_LEASE_NS);
}

static void test_lies_delay_and_never_hang(void)
{
	hear_lies(say_everything);
	hear_lies(new_hands_all_the_time);
	hear_lies(time_is_a_lie);
	w.spoil = NULL; // it is ended: all is well again
	w.g[5].dead = true;
	int64_t before = w.g[0].ran_ns;
	run(S);
	CHECK(w.g[0].ran_ns - before > 900 * MS);
}

static void test_who_asks_nobody_takes_from_all_and_stops_none(void)
{
	reset(TURNS_BEST_EFFORT);
	w.g[0] = (struct guest){ .kernel_ns = MS };
	w.g[1] = (struct guest){ .kernel_ns = 2 * MS, .rude = true };
	run(2 * S);
	CHECK(w.g[0].ran_ns > 500 * MS);
}

int main(void)
{
	RUN(test_alone_costs_nothing);
	RUN(test_a_flood_of_long_kernels_leaves_the_other_its_half);
	RUN(test_who_waits_for_each_kernel_has_its_share_too);
	RUN(test_six_have_a_sixth_each);
	RUN(test_ten_seconds_are_paid_back);
	RUN(test_idle_time_earns_no_credit);
	RUN(test_a_killed_holder_holds_nobody_up);
	RUN(test_a_stopped_one_leaves_a_slice_of_each_lease);
	RUN(test_a_closed_gate_gives_the_turn_back);
	RUN(test_capped_shares_hold_for_one_alone);
	RUN(test_fixed_shares_side_by_side);
	RUN(test_lies_delay_and_never_hang);
	RUN(test_who_asks_nobody_takes_from_all_and_stops_none);
	return 0;
}
