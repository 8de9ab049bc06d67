// SPDX-License-Identifier: Apache-2.0
#include "vgpu/session/queue.h"
#include "vgpu/gate/command.h"
#include "vgpu/session/device.h"
#include "vgpu/session/port.h"
#include "vgpu/session/program.h"
#include "vgpu/session/session.h"
#include "vgpu/session/transfer.h"
#include "vgpu/session/worker.h"
#include "vgpu/tokens/tokens.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>

#define PASSES_AT_ONCE 16 // over all queues, before the loop has its turn

static void leave_lists(struct queue *q)
{
	struct queue **p = &q->v->queues;

	while (*p != q)
		p = &(*p)->next_queue;
	*p = q->next_queue;
	q->v->n_queues--;
	for (p = &q->v->dirty; *p; p = &(*p)->next_dirty) {
		if (*p != q)
			continue;
		*p = q->next_dirty;
		break;
	}
}

static void destroy(struct object *o)
{
	struct queue *q = (struct queue *)o;
	struct vgpu *v = q->v;

	if (q->be)
		leave_lists(q);
	if (q->be)
		v->be->ops->queue_free(q->be);
	object_fini(o);
	if (q->device)
		object_unref(&q->device->o);
	free(q);
}

static int32_t make_on_device(struct queue *q)
{
	struct vgpu *v = q->v;
	struct be_part *part = q->device ? q->device->be : NULL;

	if (q->device && q->device->o.failed != CL_SUCCESS)
		return CL_INVALID_DEVICE;
	if (v->n_queues == VGPU_QUEUES_MAX)
		return CL_OUT_OF_RESOURCES;
	int32_t err = v->be->ops->queue_new(v->be, part, q->profiling || v->tokens, &q->be);
	if (err != CL_SUCCESS) {
		q->be = NULL;
		return err;
	}
	q->next_queue = v->queues;
	v->queues = q;
	v->n_queues++;
	return CL_SUCCESS;
}

int queue_new(struct session *s, uint64_t serial, uint64_t properties, struct device *device,
	struct queue **ret)
{
	const uint64_t known = CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE | CL_QUEUE_PROFILING_ENABLE;
	struct vgpu *v = s->v;
	struct queue *q = calloc(1, sizeof *q);

	if (!q)
		return -ENOMEM;
	int r = object_init(&q->o, &v->registry, OBJECT_QUEUE, s, serial, destroy);
	if (r < 0) {
		free(q);
		return r;
	}
	q->v = v;
	q->properties = properties;
	q->device = device;
	if (device)
		object_ref(&device->o);
	q->depth = QUEUE_DEPTH;
	q->in_order = !(properties & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE);
	q->profiling = properties & CL_QUEUE_PROFILING_ENABLE;
	if (properties & ~known)
		q->o.failed = CL_INVALID_QUEUE_PROPERTIES;
	else
		q->o.failed = make_on_device(q);
	*ret = q;
	return 0;
}

// ---- ending commands

static struct be_times own_times(const struct command *c)
{
	uint64_t now = vgpu_now_ns(c->queue->v);

	return (struct be_times){ c->queued_ns, c->submitted_ns ? c->submitted_ns : now,
		c->submitted_ns ? c->submitted_ns : now, now };
}

// Tells the guest how it ended, and forgets it.
static void end_command(struct command *c, int32_t status, const struct be_times *times)
{
	struct session *s = c->queue->o.session;
	struct vgpu *v = c->queue->v;
	bool answers = command_answers(c);

	if (c->cost)
		session_return_credit(s, c->cost);
	if (answers)
		session_answer(s, c->seq, status, c->op == p_op_finish ? 0 : c->u.transfer.done);
	if (c->event) {
		event_end(c->event, status, c->queue->profiling ? times : NULL);
		v->recheck = true;
	} else if (status != CL_SUCCESS && !answers) {
		session_failed(s, c->queue->o.id, status);
	}
	command_free(c);
}

// ---- letting run what may

enum waits { WAITS_OVER, WAITS_BLOCK, WAITS_FAILED };

// An event whose command went before us to the same in-order queue cannot block us.
static bool cannot_block(const struct queue *q, const struct event *e)
{
	return e->command && q->in_order && e->command->queue == q &&
	       e->command->state == COMMAND_GIVEN;
}

static enum waits look_at_waits(const struct command *c, bool by_driver)
{
	enum waits result = WAITS_OVER;

	for (uint32_t i = 0; i < c->n_waits; i++) {
		const struct event *e = (const struct event *)c->refs[i];
		if (e->status < 0)
			result = WAITS_FAILED;
		else if (!event_over(e) && (!by_driver || !cannot_block(c->queue, e)))
			return WAITS_BLOCK;
	}
	return result;
}

static void mark_dirty(struct queue *q)
{
	if (q->is_dirty)
		return;
	q->is_dirty = true;
	q->next_dirty = q->v->dirty;
	q->v->dirty = q;
}

static bool reserve_completion(struct completions *done)
{
	bool ok = true;

	if (done->watched < done->cap && done->watched < done->spare_cap)
		return true;
	pthread_mutex_lock(&done->lock);
	size_t cap = done->cap ? done->cap * 2 : 256;
	struct command **list = realloc(done->list, cap * sizeof(struct command *));
	struct command **spare = realloc(done->spare, cap * sizeof(struct command *));
	if (list)
		done->list = list;
	if (spare)
		done->spare = spare;
	if (list && spare)
		done->cap = done->spare_cap = cap;
	else
		ok = false;
	pthread_mutex_unlock(&done->lock);
	return ok;
}

static void watch_command(struct command *c)
{
	struct vgpu *v = c->queue->v;

	if (c->watched)
		return;
	if (!reserve_completion(&v->completions) ||
		v->be->ops->ticket_watch(v->be, c->ticket, c) != CL_SUCCESS) {
		log_error("a command's end cannot be watched: out of memory");
		return;
	}
	c->watched = true;
	c->queue->unwatched = 0;
	v->completions.watched++;
}

static void was_given(struct command *c)
{
	struct queue *q = c->queue;

	c->state = COMMAND_GIVEN;
	c->submitted_ns = vgpu_now_ns(q->v);
	if (q->first_pending == c)
		q->first_pending = c->next;
	if (q->last_given)
		q->last_given->next_given = c;
	else
		q->given = c;
	q->last_given = c;
	if (!q->n_given++)
		q->mark_ns = clock_now_ns();
	if (!command_is_transfer(c)) { // whose bytes are kept until it is over
		session_return_credit(q->o.session, c->cost);
		c->cost = 0;
	}
	q->unwatched++;
	if (c->event || command_answers(c) || q->unwatched >= q->depth / 2)
		watch_command(c);
	mark_dirty(q);
}

// ---- launches for which the driver may compile: on the worker's thread, since it takes seconds

static void run_giving(void *arg)
{
	struct command *c = arg;

	c->give_result = command_give(c);
}

static void end_giving(void *arg)
{
	struct command *c = arg;
	struct queue *q = c->queue;
	struct vgpu *v = q->v;

	object_ref(&q->o);
	q->giving = false;
	c->u.launch.kernel->busy = false;
	if (c->give_result == CL_SUCCESS) {
		was_given(c);
	} else {
		c->state = COMMAND_PENDING;
		c->status = c->give_result;
		v->in_flight--;
		printing_end(c);
	}
	v->recheck = true; // other queues may have waited for the kernel
	queue_advance(q);
	object_unref(&q->o);
	ports_pump(v);
	queues_kick(v); // with the gate closed too: what was given must be reported
	gate_check_drained(v);
}

static int32_t give_slowly(struct command *c)
{
	struct queue *q = c->queue;

	c->give_result = CL_OUT_OF_RESOURCES; // where the worker ends first
	if (worker_add(q->v->worker, run_giving, end_giving, c) < 0)
		return CL_OUT_OF_HOST_MEMORY;
	c->state = COMMAND_GIVING;
	c->u.launch.kernel->busy = true;
	q->giving = true;
	q->v->in_flight++;
	return CL_SUCCESS;
}

static void give(struct command *c)
{
	bool slow = false;
	int32_t err = c->queue->o.failed;

	if (err == CL_SUCCESS)
		err = command_prepare(c, &slow);
	if (err == CL_SUCCESS)
		printing_begin(c);
	if (err == CL_SUCCESS && slow)
		err = give_slowly(c);
	else if (err == CL_SUCCESS) {
		err = command_give(c);
		if (err == CL_SUCCESS) {
			c->queue->v->in_flight++;
			was_given(c);
		}
	}
	if (err != CL_SUCCESS)
		printing_end(c);
	c->status = err;
}

// A command that this process executes itself, or whose failure is decided. True when it has ended.
static bool run_here(struct command *c)
{
	if (!c->submitted_ns)
		c->submitted_ns = vgpu_now_ns(c->queue->v);
	if (c->status == CL_SUCCESS && command_is_transfer(c) && !transfer_run(c))
		return false;
	struct be_times times = own_times(c);
	end_command(c, c->status, &times);
	return true;
}

// Whether the worker's thread uses neither its queue nor its kernel.
static bool is_free(const struct command *c)
{
	return !c->queue->giving && !(c->op == p_op_launch && c->u.launch.kernel->busy);
}

// Whether the driver is to execute it. What could as well be executed here goes there where something
// before it is still at work: those behind it need not wait until this process knows of its end.
static bool is_for_driver(const struct command *c, bool earlier_over)
{
	if (!command_is_local(c))
		return true;
	if (earlier_over || c->op == p_op_finish)
		return false;
	return command_is_order(c) || transfer_may_give(c);
}

// True when the command was given or has ended: there may be more to do.
static bool try_command(struct command *c, bool earlier_over)
{
	bool by_driver = is_for_driver(c, earlier_over);

	if (c->status == CL_SUCCESS && c->state == COMMAND_PENDING) {
		enum waits waits = look_at_waits(c, by_driver);
		if (waits == WAITS_BLOCK)
			return false;
		if (waits == WAITS_FAILED)
			c->status = CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST;
	}
	if (c->status == CL_SUCCESS && by_driver) {
		if (c->queue->n_given >= c->queue->depth || !is_free(c) || !printing_may_begin(c) ||
			!tokens_may_give(c->queue->v->tokens))
			return false;
		give(c);
		if (c->status == CL_SUCCESS)
			return c->state == COMMAND_GIVEN;
	}
	return earlier_over && run_here(c);
}

static void advance_in_order(struct queue *q)
{
	struct command *c;

	while (!q->giving && (c = q->first_pending) != NULL)
		if (!try_command(c, c == q->head))
			return;
}

// Markers and finishes without a wait list are for everything before them; so are all barriers'
// successors.
static bool waits_for_earlier(const struct command *c)
{
	return command_is_order(c) && !c->n_waits;
}

static void advance_out_of_order(struct queue *q)
{
	struct command *next;

	for (struct command *c = q->head; c; c = next) {
		bool barrier = c->op == p_op_barrier;
		next = c->next;
		if (c->state >= COMMAND_GIVING || (waits_for_earlier(c) && c != q->head)) {
			if (barrier)
				return;
			continue;
		}
		bool moved = try_command(c, true);
		if (barrier && !moved)
			return;
	}
}

void queue_advance(struct queue *q)
{
	if (q->v->gate_closed || !q->head)
		return;
	object_ref(&q->o); // the last command may hold the last reference
	if (q->in_order)
		advance_in_order(q);
	else
		advance_out_of_order(q);
	object_unref(&q->o);
}

// What was there before could not move, and cannot now.
static void try_last(struct queue *q)
{
	struct command *c = q->tail;

	if (q->v->gate_closed || q->n_barriers > (c->op == p_op_barrier) ||
		(waits_for_earlier(c) && c != q->head))
		return;
	object_ref(&q->o);
	try_command(c, true);
	object_unref(&q->o);
}

void queue_push(struct queue *q, struct command *c)
{
	c->prev = q->tail;
	if (q->tail)
		q->tail->next = c;
	else
		q->head = c;
	q->tail = c;
	if (!q->first_pending)
		q->first_pending = c;
	q->n_barriers += c->op == p_op_barrier;
	if (q->in_order)
		queue_advance(q);
	else
		try_last(q);
}

// A guest can make chains from queue to queue of which each pass ends one command: the loop's other work
// goes on between some passes and the next.
static bool goes_on(struct vgpu *v, unsigned passes)
{
	if (!v->recheck || v->gate_closed)
		return false;
	if (passes < PASSES_AT_ONCE)
		return true;
	v->recheck = false;
	v->recheck_later = true;
	loop_wake(v->completions.waker);
	return false;
}

void queues_advance_all(struct vgpu *v)
{
	unsigned passes = 0;

	v->recheck_later = false;
	do {
		struct queue *next;
		v->recheck = false;
		for (struct queue *q = v->queues; q; q = next) {
			next = q->next_queue;
			queue_advance(q);
		}
		v->recheck |= v->printing.others_first;
		v->printing.others_first = false;
	} while (goes_on(v, ++passes));
}

void queues_kick(struct vgpu *v)
{
	if (v->recheck) // before it is asked whether there is more to give
		queues_advance_all(v);
	tokens_look(v->tokens);
	if (v->recheck)
		queues_advance_all(v);
	while (v->dirty) {
		struct queue *q = v->dirty;
		v->dirty = q->next_dirty;
		q->is_dirty = false;
		if (q->last_given)
			watch_command(q->last_given);
		v->be->ops->queue_flush(q->be);
	}
}

void queue_drop_pending(struct queue *q)
{
	struct command *next;

	object_ref(&q->o);
	for (struct command *c = q->head; c; c = next) {
		next = c->next;
		if (c->state >= COMMAND_GIVING)
			continue;
		if (c->event && !event_over(c->event)) {
			event_end(c->event, CL_DEVICE_NOT_AVAILABLE, NULL);
			q->v->recheck = true;
		}
		command_free(c);
	}
	object_unref(&q->o);
}

// ---- what the driver reports

void queue_on_complete(void *vgpu, void *command)
{
	struct completions *done = &((struct vgpu *)vgpu)->completions;

	pthread_mutex_lock(&done->lock);
	bool first = done->n == 0;
	done->list[done->n++] = command; // room was made when it was watched
	pthread_mutex_unlock(&done->lock);
	if (first)
		loop_wake(done->waker);
}

static void add_offset(struct be_times *t, int64_t offset)
{
	uint64_t *fields[] = { &t->queued, &t->submitted, &t->started, &t->ended };

	for (int i = 0; i < 4; i++)
		*fields[i] += (uint64_t)offset;
}

// A driver may compile as late as when it runs the kernel.
static void note_code(const struct command *c)
{
	const struct launch *l = &c->u.launch;

	if (c->op == p_op_launch && l->is_new)
		program_specialised(l->kernel->program, l->shape);
}

static void end_given(struct command *c)
{
	struct queue *q = c->queue;
	struct be_times times = { 0 };
	bool wants_times = c->event && q->profiling, measured = tokens_measures(q->v->tokens);
	int32_t status =
		q->v->be->ops->ticket_status(c->ticket, wants_times || measured ? &times : NULL);

	if (measured)
		tokens_measured(q->v->tokens, &times);

	q->given = c->next_given;
	if (!q->given)
		q->last_given = NULL;
	q->n_given--;
	q->v->in_flight--;
	printing_end(c);
	if (wants_times) {
		add_offset(&times, q->v->clock_offset_ns);
		if (c->queued_ns < times.queued)
			times.queued = c->queued_ns;
	}
	if (status >= CL_COMPLETE) {
		note_code(c);
		status = command_is_transfer(c) ? transfer_collect(c) : CL_COMPLETE;
	}
	end_command(c, status, &times);
}

// `n` commands have ended since the mark: how many may be given ahead from now on.
static void measure(struct queue *q, uint32_t n)
{
	int64_t now = clock_now_ns();
	int64_t each = n ? (now - q->mark_ns) / n : q->command_ns;

	q->mark_ns = now;
	q->command_ns = (q->command_ns * 3 + each) / 4;
	int64_t depth = q->command_ns > 0 ? QUEUE_AHEAD_NS / q->command_ns : QUEUE_DEPTH;
	q->depth = depth < 2 ? 2 : depth > QUEUE_DEPTH ? QUEUE_DEPTH : (uint32_t)depth;
}

int64_t queues_drain_ns(const struct vgpu *v)
{
	int64_t total = 0;

	for (const struct queue *q = v->queues; q; q = q->next_queue)
		total += q->n_given * q->command_ns;
	return total;
}

// The driver runs a queue in order: what was given before a command that is over is over too. One
// that will be reported itself is left until then.
static void reported(struct command *c)
{
	struct queue *q = c->queue;

	object_ref(&q->o);
	for (struct command *p = q->given; p && p != c; p = p->next_given)
		if (!p->watched)
			p->over = true;
	c->over = true;
	uint32_t n = q->n_given;
	while (q->given && q->given->over)
		end_given(q->given);
	measure(q, n - q->n_given);
	if (q->in_order)
		queue_advance(q);
	else
		q->v->recheck = true; // all of it is looked at, once for all that was reported
	object_unref(&q->o);
}

void queues_collect(struct vgpu *v)
{
	struct completions *done = &v->completions;

	v->recheck |= v->recheck_later;
	v->recheck_later = false;
	pthread_mutex_lock(&done->lock);
	struct command **list = done->list;
	size_t n = done->n, cap = done->cap;
	done->list = done->spare;
	done->cap = done->spare_cap;
	done->n = 0;
	pthread_mutex_unlock(&done->lock);
	if (v->printing.launches)
		output_collect(v); // after the list: what these printed has been written
	done->spare = list;
	done->spare_cap = cap;
	done->watched -= n;
	for (size_t i = 0; i < n; i++)
		reported(done->spare[i]); // which moves when watching makes it longer
	queues_kick(v);
	gate_check_drained(v);
}
