// SPDX-License-Identifier: Apache-2.0
#include "vgpu/tokens/tokens.h"
#include "vgpu/session/port.h"
#include "vgpu/session/queue.h"
#include "vgpu/tokens/memory.h"
#include "vgpu/vgpu.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LOOK_FOR_DEAD_NS (50 * NSEC_PER_MSEC)
#define LOOK_FOR_NEW_NS  NSEC_PER_MSEC
#define TRIES            4 // others change hands at the same moment

struct tokens {
	// Set in tokens_join(), read only afterwards.
	struct vgpu *v;
	struct tokens_memory *m;
	int fd;
	unsigned me;
	struct watch *waker;

	// Main thread.
	struct turns turns;
	struct watch *timer;
	bool wants;    // something was refused
	bool busy;     // what the others were told
	uint64_t live; // as of `live_at_ns`
	int64_t live_at_ns;
	uint64_t device_to_ns; // the device's clock: measured up to here

	// The thread that waits for our slot's futex.
	pthread_t thread;
	bool has_thread;
	_Atomic bool stopping;
};

static uint64_t bit(unsigned i)
{
	return 1ull << i;
}

// ---- words of the shared memory

// futex(2), between processes. A wait ends after a second in any case: the word is not ours alone.
static void futex(_Atomic uint32_t *word, int op, uint32_t value)
{
	const struct timespec second = { .tv_sec = 1 };

	syscall(SYS_futex, word, op, value, op == FUTEX_WAIT ? &second : NULL, NULL, 0);
}

static void *wait_for_word(void *arg)
{
	struct tokens *t = arg;
	_Atomic uint32_t *word = &t->m->slots[t->me].wake;
	uint32_t seen = atomic_load(word);

	while (!atomic_load(&t->stopping)) {
		futex(word, FUTEX_WAIT, seen);
		uint32_t now = atomic_load(word);
		if (now != seen)
			loop_wake(t->waker);
		seen = now;
	}
	return NULL;
}

static void wake(struct tokens_slot *s)
{
	atomic_fetch_add(&s->wake, 1);
	futex(&s->wake, FUTEX_WAKE, INT32_MAX);
}

// F_GETLK does not say so of our own lock.
static bool is_there(const struct tokens *t, unsigned slot)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = slot, .l_len = 1 };

	return slot == t->me || (fcntl(t->fd, F_GETLK, &l) == 0 && l.l_type != F_UNLCK);
}

static void look_for_dead(struct tokens *t, int64_t now)
{
	uint64_t claimed = atomic_fetch_or(&t->m->claimed, bit(t->me)) | bit(t->me);
	int64_t every = claimed & ~t->live ? LOOK_FOR_NEW_NS : LOOK_FOR_DEAD_NS;
	if (t->live_at_ns && now < t->live_at_ns + every)
		return;
	t->live_at_ns = now;
	t->live = 0;
	for (unsigned i = 0; i < TURNS_MAX; i++)
		if (claimed & bit(i) && is_there(t, i))
			t->live |= bit(i);
	uint64_t dead = claimed & ~t->live;
	if (!dead)
		return;
	atomic_fetch_and(&t->m->waiting, ~dead);
	atomic_fetch_and(&t->m->busy, ~dead);
	atomic_fetch_and(&t->m->claimed, ~dead);
}

static int holder_of(uint64_t word)
{
	return (int)(word & 0xff) - 1 < TURNS_MAX ? (int)(word & 0xff) - 1 : -1;
}

static uint64_t word_of(uint64_t before, int holder)
{
	return ((before >> 8) + 1) << 8 | (uint64_t)(holder + 1);
}

static enum turns_policy policy_of(const struct tokens *t)
{
	uint32_t p = atomic_load_explicit(&t->m->policy, memory_order_relaxed);

	return p <= TURNS_FIXED_SHARE ? (enum turns_policy)p : TURNS_BEST_EFFORT;
}

// Others that want the device or are in it, as they say.
static uint64_t others(const struct tokens *t)
{
	return (atomic_load(&t->m->waiting) | atomic_load(&t->m->busy)) & ~bit(t->me);
}

static bool holds(const struct tokens *t)
{
	return holder_of(atomic_load(&t->m->holder)) == (int)t->me;
}

// Also where another has changed our bit.
static void tell(_Atomic uint64_t *word, bool now, unsigned me)
{
	bool there = atomic_load_explicit(word, memory_order_relaxed) & bit(me);

	if (now && !there)
		atomic_fetch_or(word, bit(me));
	else if (!now && there)
		atomic_fetch_and(word, ~bit(me));
}

static void tell_busy(struct tokens *t, bool now)
{
	tell(&t->m->busy, now, t->me);
	t->busy = now;
}

// Nobody can have used more than there was time. The holder's word as it is, sense or not.
static uint64_t read_memory(struct tokens *t, struct turns_view *v)
{
	int64_t now = clock_now_ns();
	uint64_t word = atomic_load(&t->m->holder);

	look_for_dead(t, now);
	v->now_ns = now;
	v->policy = policy_of(t);
	v->me = t->me;
	v->hand = word >> 8;
	v->holder = holder_of(word);
	v->live = t->live;
	v->waiting = atomic_load(&t->m->waiting);
	v->busy = atomic_load(&t->m->busy);
	for (unsigned i = 0; i < TURNS_MAX; i++) {
		int64_t used = t->live & bit(i) ? atomic_load(&t->m->slots[i].used_ns) : 0;
		v->used_ns[i] = used < 0 ? 0 : used > now ? now : used;
	}
	return word;
}

// ---- stepping

static void set_timer(struct tokens *t, int64_t at);

// False: the holder changed meanwhile.
static bool change_hands(struct tokens *t, uint64_t seen, const struct turns_does *d)
{
	int to = d->hand == TURNS_TAKE ? (int)t->me : d->to;

	if (d->hand == TURNS_KEEP)
		return true;
	if (!atomic_compare_exchange_strong(&t->m->holder, &seen, word_of(seen, to)))
		return false;
	if (d->hand == TURNS_PASS && to >= 0)
		wake(&t->m->slots[to]);
	return true;
}

static bool step(struct tokens *t)
{
	struct turns_need n = {
		.wants = t->wants, .resting = t->v->gate_closed, .in_flight = t->v->in_flight > 0
	};
	struct turns_does d = { 0 };
	struct turns_view v;

	for (int i = 0; i < TRIES; i++) {
		uint64_t word = read_memory(t, &v);
		n.ahead_ns = n.in_flight ? queues_drain_ns(t->v) : 0;
		d = turns_step(&t->turns, &v, &n);
		atomic_store(&t->m->slots[t->me].used_ns, t->turns.used_ns);
		tell(&t->m->waiting, d.waiting, t->me);
		tell_busy(t, d.busy);
		if (change_hands(t, word, &d))
			break;
		d = (struct turns_does){ .look_at_ns = v.now_ns + NSEC_PER_MSEC };
	}
	set_timer(t, d.look_at_ns);
	return d.may_give;
}

bool tokens_may_give(struct tokens *t)
{
	if (!t)
		return true;
	if (!t->busy && holds(t))
		tell_busy(t, true);
	// Told before it is looked at: who takes the turn looks the other way round.
	if (t->busy && !t->turns.contended && holds(t) && !others(t) &&
		policy_of(t) == TURNS_BEST_EFFORT)
		return true;
	t->wants = true;
	bool may = step(t);
	if (may)
		t->wants = false;
	return may;
}

static void step_on(struct tokens *t)
{
	if (!step(t) || !t->wants)
		return;
	t->wants = false;
	t->v->recheck = true;
}

void tokens_look(struct tokens *t)
{
	if (!t)
		return;
	bool quiet = !t->wants && !t->turns.contended && policy_of(t) == TURNS_BEST_EFFORT;
	if (quiet && (t->v->in_flight || !t->busy))
		return;
	if (quiet) {
		tell_busy(t, false);
		if (!others(t))
			return;
	}
	step_on(t);
}

bool tokens_measures(struct tokens *t)
{
	return t && (t->turns.contended || policy_of(t) != TURNS_BEST_EFFORT || others(t));
}

void tokens_measured(struct tokens *t, const struct be_times *times)
{
	uint64_t from = times->started > t->device_to_ns ? times->started : t->device_to_ns;

	if (times->ended <= from)
		return;
	turns_measured(&t->turns, (int64_t)(times->ended - from));
	t->device_to_ns = times->ended;
}

// ---- what the loop calls

static void on_wake(void *arg)
{
	struct tokens *t = arg;

	step_on(t);
	queues_kick(t->v);
	ports_pump(t->v);
}

static void set_timer(struct tokens *t, int64_t at)
{
	if (t->timer)
		watch_set_timer(t->timer, at ? at : -1);
	else if (at)
		t->timer = loop_timer(t->v->loop, at, on_wake, t);
}

// ---- life

static int claim(struct tokens *t, struct ferry_error *e)
{
	for (unsigned i = 0; i < TURNS_MAX; i++) {
		struct flock l = {
			.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = i, .l_len = 1
		};
		if (fcntl(t->fd, F_SETLK, &l) < 0)
			continue;
		t->me = i;
		atomic_fetch_and(&t->m->waiting, ~bit(i)); // of one that was killed
		atomic_fetch_and(&t->m->busy, ~bit(i));
		atomic_store(&t->m->slots[i].used_ns, 0);
		atomic_fetch_or(&t->m->claimed, bit(i));
		return 0;
	}
	return ferry_fail(e, EBUSY, "no-tokens", "all %u launch tokens are taken", TURNS_MAX);
}

static int start(struct tokens *t, struct ferry_error *e)
{
	t->m = tokens_memory_map(t->fd, e);
	if (!t->m)
		return -EINVAL;
	int r = claim(t, e);
	if (r < 0)
		return r;
	t->waker = loop_waker(t->v->loop, on_wake, t);
	r = t->waker ? pthread_create(&t->thread, NULL, wait_for_word, t) : ENOMEM;
	if (r != 0)
		return ferry_fail(e, r, "no-thread", "no thread for launch tokens");
	t->has_thread = true;
	return 0;
}

int tokens_join(struct vgpu *v, int fd, unsigned share_percent, struct ferry_error *e)
{
	struct tokens *t = calloc(1, sizeof *t);

	if (!t)
		return ferry_fail(e, ENOMEM, "no-memory", "no memory for launch tokens");
	t->v = v;
	t->fd = fd;
	t->turns.share_percent = share_percent;
	v->tokens = t;
	int r = start(t, e);
	if (r < 0)
		tokens_leave(v);
	return r;
}

void tokens_leave(struct vgpu *v)
{
	struct tokens *t = v->tokens;

	if (!t)
		return;
	v->tokens = NULL;
	if (t->has_thread) {
		uint64_t mine = atomic_load(&t->m->holder);
		atomic_store(&t->stopping, true);
		wake(&t->m->slots[t->me]);
		pthread_join(t->thread, NULL);
		tell(&t->m->waiting, false, t->me);
		tell_busy(t, false);
		if (holder_of(mine) == (int)t->me)
			atomic_compare_exchange_strong(&t->m->holder, &mine, word_of(mine, -1));
		atomic_fetch_and(&t->m->claimed, ~bit(t->me));
	}
	watch_remove(t->waker);
	watch_remove(t->timer);
	tokens_memory_unmap(t->m);
	close(t->fd); // and with it the lock
	free(t);
}
