// SPDX-License-Identifier: Apache-2.0
#include "vgpu/tokens/turns.h"

static uint64_t bit(unsigned i)
{
	return 1ull << i;
}

// Others that are there, and want the device or are in it.
static uint64_t active_others(const struct turns_view *v)
{
	return v->live & ~bit(v->me) & (v->waiting | v->busy);
}

static uint64_t rivals(const struct turns_view *v)
{
	return v->live & ~bit(v->me) & v->waiting;
}

// The one of `set` that has used least; -1: the set is empty.
static int least_used(const struct turns_view *v, uint64_t set)
{
	int least = -1;

	for (unsigned i = 0; i < TURNS_MAX; i++)
		if (set & bit(i) && (least < 0 || v->used_ns[i] < v->used_ns[least]))
			least = (int)i;
	return least;
}

static int64_t clamp(int64_t x, int64_t low, int64_t high)
{
	return x < low ? low : x > high ? high : x;
}

// ---- charging

static unsigned share_percent(const struct turns *t, const struct turns_view *v)
{
	unsigned all = (unsigned)__builtin_popcountll(v->live | bit(v->me));

	if (v->policy == TURNS_EQUAL_SHARE)
		return all < 100 ? 100 / all : 1;
	return t->share_percent ? t->share_percent : 100;
}

static bool capped(const struct turns *t, const struct turns_view *v)
{
	return v->policy != TURNS_BEST_EFFORT && share_percent(t, v) < 100;
}

bool turns_measures(const struct turns *t, const struct turns_view *v)
{
	return v->policy != TURNS_BEST_EFFORT || t->contended || active_others(v);
}

void turns_measured(struct turns *t, int64_t device_ns)
{
	t->device_ns += device_ns > 0 ? device_ns : 0;
}

static void forget_turn(struct turns *t)
{
	t->wall_ns = t->device_ns = t->charged_ns = 0;
}

// A turn that others wait for is charged whole, with the gaps between its commands: nobody else can
// use them. Beside another's commands (an overrun) only what was measured.
static int64_t take_due(struct turns *t, const struct turns_view *v)
{
	uint64_t others = active_others(v);
	bool alone = v->holder == (int)v->me && others && !(others & v->busy);

	if (alone && t->contended && !t->waits_since_ns)
		t->wall_ns += v->now_ns - t->settled_at_ns;
	int64_t all = t->wall_ns > t->device_ns ? t->wall_ns : t->device_ns;
	int64_t due = all > t->charged_ns ? all - t->charged_ns : 0;
	t->charged_ns += due;
	if (t->contended || others)
		t->used_ns += due;
	return due;
}

static void settle(struct turns *t, const struct turns_view *v)
{
	int64_t due = take_due(t, v);

	if (capped(t, v)) {
		int64_t since = v->now_ns - t->budget_at_ns;
		int64_t earned = clamp(since, 0, TURNS_LAG_NS) * share_percent(t, v) / 100;
		t->budget_ns = clamp(t->budget_ns + earned - due, -TURNS_LAG_NS, TURNS_BURST_NS);
	} else {
		t->budget_ns = TURNS_BURST_NS;
	}
	t->budget_at_ns = t->settled_at_ns = v->now_ns;
	if (active_others(v))
		t->rival_at_ns = v->now_ns;
	t->contended = t->rival_at_ns && v->now_ns - t->rival_at_ns < TURNS_IDLE_NS;
	if (!t->contended)
		forget_turn(t);
}

// Compared with those that are active. Who was away has left its time to the others, and brings no
// credit; what it owed is paid by the time it was away. Nobody is ever further ahead than TURNS_LAG_NS.
static void come_back(struct turns *t, const struct turns_view *v)
{
	int least = least_used(v, active_others(v));
	int64_t away = v->now_ns - t->active_at_ns;

	t->active_at_ns = v->now_ns;
	if (least < 0)
		return;
	int64_t from = v->used_ns[least];
	if (away > TURNS_IDLE_NS) {
		int64_t paid = t->used_ns - away;
		t->used_ns = paid > from ? paid : t->used_ns > from ? from : t->used_ns;
		t->used_ns = clamp(t->used_ns, from - TURNS_SLICE_NS, from + TURNS_LAG_NS);
	}
	if (t->used_ns > from + TURNS_LAG_NS)
		t->used_ns = from + TURNS_LAG_NS;
}

// ---- the one who waits

static int64_t earlier(int64_t a, int64_t b)
{
	return a && a < b ? a : b;
}

static bool is_held(const struct turns_view *v)
{
	// It was passed to one that waits and has not woken yet: that is held, too.
	return v->holder >= 0 && v->live & (v->busy | v->waiting) & bit((unsigned)v->holder);
}

// Whether the device may be taken, or when to look again. However the others behave, a turn that was
// begun holds nobody off for longer than two leases, and all of them together only so many.
static bool may_take(struct turns *t, const struct turns_view *v, int64_t *ret_look_at)
{
	int64_t all = __builtin_popcountll(v->live | bit(v->me));
	int least = least_used(v, rivals(v));
	bool first = least < 0 || t->used_ns <= v->used_ns[least];

	if (!is_held(v))
		return true;
	if (!t->seen_at_ns || t->seen_hand != v->hand) {
		t->seen_hand = v->hand;
		t->seen_at_ns = v->now_ns;
	}
	int64_t until = t->seen_at_ns + (first ? 1 : 2) * TURNS_LEASE_NS;
	int64_t at_last = t->waits_since_ns + (all + 1) * 2 * TURNS_LEASE_NS;
	*ret_look_at = earlier(until, at_last);
	return v->now_ns >= *ret_look_at;
}

static void begin_turn(struct turns *t)
{
	t->waits_since_ns = t->seen_at_ns = t->idle_at_ns = t->taken_to_ns = 0;
	forget_turn(t);
}

static struct turns_does wait_for_turn(struct turns *t, const struct turns_view *v)
{
	struct turns_does d = { .waiting = true };

	if (!t->waits_since_ns) {
		t->waits_since_ns = v->now_ns;
		come_back(t, v);
	}
	if (!may_take(t, v, &d.look_at_ns))
		return d;
	begin_turn(t);
	if (is_held(v)) // else who has used more would pass it back at once
		t->taken_to_ns = t->used_ns + TURNS_SLICE_NS;
	return (struct turns_does){ .hand = TURNS_TAKE, .may_give = true, .busy = true };
}

// ---- the one whose turn it is

static void note_idleness(struct turns *t, const struct turns_view *v, bool idle)
{
	if (idle && !t->idle_at_ns) {
		t->idle_at_ns = v->now_ns;
	} else if (!idle && t->idle_at_ns) {
		int64_t took = clamp(v->now_ns - t->idle_at_ns, 0, 4 * TURNS_GRACE_NS);
		t->think_ns = (3 * t->think_ns + took) / 4;
		t->idle_at_ns = 0;
	}
}

static struct turns_does pass(struct turns *t, const struct turns_view *v, bool wants)
{
	struct turns_does d = { .hand = TURNS_PASS, .to = least_used(v, rivals(v)) };

	t->idle_at_ns = 0;
	if (!wants)
		return d;
	t->waits_since_ns = t->seen_at_ns = v->now_ns;
	t->seen_hand = v->hand + 1; // the next turn, which begins now
	d.waiting = true;
	d.look_at_ns = v->now_ns + TURNS_LEASE_NS;
	return d;
}

static struct turns_does hold_turn(
	struct turns *t, const struct turns_view *v, const struct turns_need *n, bool wants)
{
	uint64_t waiting = rivals(v);
	int64_t limit = waiting ? v->used_ns[least_used(v, waiting)] + TURNS_SLICE_NS : INT64_MAX;
	if (limit < t->taken_to_ns)
		limit = t->taken_to_ns;
	bool over = t->used_ns >= limit;

	if (t->waits_since_ns)
		begin_turn(t);
	note_idleness(t, v, !n->wants && !n->in_flight);
	if (wants && !over) {
		// Also while the other thinks: it will be back before these have ended.
		bool fits = !t->contended ||
			    (t->used_ns < limit - n->ahead_ns && n->ahead_ns < TURNS_SLICE_NS);
		return (struct turns_does){ .may_give = !n->in_flight || fits, .busy = true };
	}
	if (n->in_flight)
		return (struct turns_does){ .busy = true };
	if (!waiting)
		return (struct turns_does){ 0 };
	int64_t until = t->idle_at_ns + TURNS_GRACE_NS;
	if (!over && !n->wants && !n->resting && t->think_ns <= TURNS_GRACE_NS && v->now_ns < until)
		return (struct turns_does){ .busy = true, .look_at_ns = until };
	return pass(t, v, wants);
}

struct turns_does turns_step(
	struct turns *t, const struct turns_view *v, const struct turns_need *n)
{
	struct turns_does d = { 0 };

	settle(t, v);
	bool broke = capped(t, v) && t->budget_ns <= 0;
	bool wants = n->wants && !n->resting && !broke;
	if (v->holder == (int)v->me)
		d = hold_turn(t, v, n, wants);
	else if (n->in_flight) // its turn was taken: first these end
		d.busy = true;
	else if (wants)
		d = wait_for_turn(t, v);
	else
		t->waits_since_ns = 0;
	if (n->in_flight)
		t->active_at_ns = v->now_ns;
	if (n->wants && !n->resting && broke)
		d.look_at_ns =
			v->now_ns + TURNS_SLICE_NS + -t->budget_ns * 100 / share_percent(t, v);
	return d;
}
