// SPDX-License-Identifier: Apache-2.0
#include "guest/cl/object.h"

#include <stdlib.h>
#include "guest/stream/session.h"

struct slot {
	struct object *object;
	uint32_t serial;
};

// A number that waits for its next object, or for its release message.
struct number {
	uint32_t id;
	uint32_t seq; // of the release message
};

struct numbers {
	struct number *at;
	size_t head, n, cap; // a ring
};

static struct slot *slots; // by id
static uint32_t n_slots;   // highest id ever used, plus one
static uint32_t cap_slots;
static uint32_t max_id = 1024;
static uint32_t serials;
static struct numbers gone; // to be told to the host
static struct numbers idle; // told; usable once the message has been read

static bool ring_put(struct numbers *r, struct number v)
{
	if (r->n == r->cap) {
		size_t cap = r->cap ? r->cap * 2 : 64;
		struct number *at = malloc(cap * sizeof *at);
		if (!at)
			return false; // the number is lost, nothing else
		for (size_t i = 0; i < r->n; i++)
			at[i] = r->at[(r->head + i) % r->cap];
		free(r->at);
		*r = (struct numbers){ .at = at, .n = r->n, .cap = cap };
	}
	r->at[(r->head + r->n++) & (r->cap - 1)] = v;
	return true;
}

static struct number ring_take(struct numbers *r)
{
	struct number v = r->at[r->head];

	r->head = (r->head + 1) & (r->cap - 1);
	r->n--;
	return v;
}

static bool slots_grow(void)
{
	uint32_t cap = cap_slots ? cap_slots * 2 : 256;
	struct slot *at = realloc(slots, cap * sizeof *at);

	if (!at)
		return false;
	slots = at;
	cap_slots = cap;
	return true;
}

static uint32_t number_take(void)
{
	bool fresh = n_slots <= max_id;

	if (idle.n && (!fresh || session_was_read(idle.at[idle.head].seq)))
		return ring_take(&idle).id;
	if (!n_slots)
		n_slots = 1;
	if (!fresh || (n_slots >= cap_slots && !slots_grow()))
		return 0;
	return n_slots++;
}

static bool number_give(struct object *o)
{
	o->id = number_take();
	if (!o->id)
		return false;
	o->serial = ++serials;
	slots[o->id] = (struct slot){ o, o->serial };
	return true;
}

static void number_drop(struct object *o)
{
	slots[o->id].object = NULL;
	ring_put(o->announced ? &gone : &idle, (struct number){ o->id, session.read_seq });
}

void *object_new(const struct object_class *class, size_t size, bool numbered)
{
	struct object *o = calloc(1, size);

	if (!o)
		return NULL;
	*o = (struct object){ .dispatch = &ferry_dispatch, .class = class, .users = 1, .refs = 1 };
	if (!numbered)
		return o;
	if (number_give(o))
		return o;
	free(o);
	return NULL;
}

bool object_renumber(void *p)
{
	struct object *o = p, old = *o;

	if (!number_give(o))
		return false;
	number_drop(&old);
	o->announced = false;
	return true;
}

cl_int object_check(const void *handle, const struct object_class *class)
{
	const struct object *o = handle;

	if (!o || (uintptr_t)o % sizeof(void *) || o->class != class)
		return class->invalid;
	return session.lost ? session.lost : o->failed;
}

void object_ref(void *o)
{
	((struct object *)o)->refs++;
}

void object_unref(void *p)
{
	struct object *o = p;

	if (!o || --o->refs)
		return;
	if (o->class->destroy)
		o->class->destroy(o);
	if (o->id)
		number_drop(o);
	o->class = NULL;
	free(o);
}

cl_int object_retain(void *handle, const struct object_class *class)
{
	LOCKED;
	struct object *o = handle;

	if (!o || (uintptr_t)o % sizeof(void *) || o->class != class || !o->users)
		return class->invalid;
	o->users++;
	return CL_SUCCESS;
}

cl_int object_release(void *handle, const struct object_class *class)
{
	LOCKED;
	struct object *o = handle;

	if (!o || (uintptr_t)o % sizeof(void *) || o->class != class || !o->users)
		return class->invalid;
	if (--o->users == 0)
		object_unref(o);
	return CL_SUCCESS;
}

struct object *object_find(uint32_t id)
{
	return id && id < n_slots ? slots[id].object : NULL;
}

bool object_alive(uint32_t id, uint32_t serial)
{
	struct object *o = object_find(id);

	return o && slots[id].serial == serial;
}

void objects_each(void (*fn)(struct object *o))
{
	for (uint32_t i = 1; i < n_slots; i++)
		if (slots[i].object)
			fn(slots[i].object);
}

void objects_limit(uint32_t max)
{
	max_id = max;
}

size_t released_take(uint32_t *ids, size_t n, uint32_t seq)
{
	size_t took = 0;

	while (took < n && gone.n) {
		struct number v = ring_take(&gone);
		v.seq = seq;
		ids[took++] = v.id;
		ring_put(&idle, v);
	}
	return took;
}

size_t released_count(void)
{
	return gone.n;
}
