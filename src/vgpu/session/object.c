// SPDX-License-Identifier: Apache-2.0
#include "vgpu/session/object.h"
#include "vgpu/session/session.h"

#include <errno.h>
#include <stdlib.h>

static size_t slot_of(const struct registry *r, uint64_t serial)
{
	// Fibonacci hashing (Knuth, The Art of Computer Programming, volume 3, section 6.4).
	return (size_t)(serial * 0x9e3779b97f4a7c15ULL >> 20) & (r->n_slots - 1);
}

static void place(struct registry *r, struct object *o)
{
	size_t i = slot_of(r, o->serial);

	while (r->slots[i])
		i = (i + 1) & (r->n_slots - 1);
	r->slots[i] = o;
}

static int grow(struct registry *r)
{
	struct object **old = r->slots;
	size_t n_old = r->n_slots;
	size_t n_new = n_old ? n_old * 2 : 64;

	if (r->n * 2 < n_old)
		return 0;
	struct object **slots = calloc(n_new, sizeof *slots);
	if (!slots)
		return -ENOMEM;
	r->slots = slots;
	r->n_slots = n_new;
	for (size_t i = 0; i < n_old; i++)
		if (old[i])
			place(r, old[i]);
	free(old);
	return 0;
}

struct object *registry_find(const struct registry *r, uint64_t serial)
{
	if (!r->n_slots)
		return NULL;
	for (size_t i = slot_of(r, serial); r->slots[i]; i = (i + 1) & (r->n_slots - 1))
		if (r->slots[i]->serial == serial)
			return r->slots[i];
	return NULL;
}

int object_init(struct object *o, struct registry *r, enum object_type type,
	struct session *session, uint64_t serial, void (*destroy)(struct object *o))
{
	if (serial && registry_find(r, serial))
		return -EEXIST;
	if (session && session->n_objects == PROTO_OBJECTS_MAX)
		return -ENOMEM;
	if (grow(r) < 0)
		return -ENOMEM;
	o->type = type;
	o->refs = 1;
	o->registry = r;
	o->destroy = destroy;
	o->serial = serial ? serial : r->next_serial + 1;
	if (o->serial > r->next_serial)
		r->next_serial = o->serial;
	o->changed = ++r->clock;
	o->session = session;
	if (session) {
		object_ref(&session->o);
		session->n_objects++;
	}
	place(r, o);
	r->n++;
	return 0;
}

// Removes by shifting later members of the probe sequence back, so that none becomes unreachable.
static void take_out(struct registry *r, const struct object *o)
{
	size_t mask = r->n_slots - 1;
	size_t hole = slot_of(r, o->serial);

	while (r->slots[hole] != o)
		hole = (hole + 1) & mask;
	r->slots[hole] = NULL;
	for (size_t i = (hole + 1) & mask; r->slots[i]; i = (i + 1) & mask) {
		struct object *moved = r->slots[i];
		r->slots[i] = NULL;
		place(r, moved);
	}
}

static void note_removal(struct registry *r, uint64_t serial)
{
	if (!r->note_removals)
		return;
	if (r->n_removed == r->cap_removed) {
		size_t cap = r->cap_removed ? r->cap_removed * 2 : 256;
		uint64_t *removed = realloc(r->removed, cap * sizeof *removed);
		if (!removed) {
			r->removals_lost = true;
			return;
		}
		r->removed = removed;
		r->cap_removed = cap;
	}
	r->removed[r->n_removed++] = serial;
}

void object_fini(struct object *o)
{
	struct registry *r = o->registry;

	take_out(r, o);
	r->n--;
	r->clock++;
	note_removal(r, o->serial);
	if (o->session) {
		o->session->n_objects--;
		object_unref(&o->session->o);
	}
	o->session = NULL;
}

void object_ref(struct object *o)
{
	o->refs++;
}

// One after the other: what the destroyed one referred to follows it. A guest can make a line of objects, each
// kept by the next, that is longer than the stack is deep.
void *object_unref(struct object *o)
{
	if (!o || --o->refs)
		return NULL;
	struct registry *r = o->registry;
	o->next_gone = r->gone;
	r->gone = o;
	if (r->destroying)
		return NULL;
	r->destroying = true;
	while ((o = r->gone)) {
		r->gone = o->next_gone;
		o->destroy(o);
	}
	r->destroying = false;
	return NULL;
}

void object_touch(struct object *o)
{
	o->changed = ++o->registry->clock;
}

// A queue may be on a sub-device, a 1D buffer image shows a buffer.
static const uint8_t places[OBJECT_TYPES] = {
	[OBJECT_SESSION] = 1,
	[OBJECT_CONTEXT] = 2,
	[OBJECT_DEVICE] = 3,
	[OBJECT_QUEUE] = 4,
	[OBJECT_BUFFER] = 5,
	[OBJECT_IMAGE] = 6,
	[OBJECT_SAMPLER] = 7,
	[OBJECT_PROGRAM] = 8,
	[OBJECT_KERNEL] = 9,
	[OBJECT_EVENT] = 10,
};

static int by_type_and_serial(const void *pa, const void *pb)
{
	const struct object *a = *(struct object *const *)pa, *b = *(struct object *const *)pb;

	if (a->type != b->type)
		return places[a->type] < places[b->type] ? -1 : 1;
	return a->serial < b->serial ? -1 : a->serial > b->serial;
}

int registry_changed(const struct registry *r, uint64_t since, struct object ***ret, size_t *ret_n)
{
	struct object **list = calloc(r->n + 1, sizeof *list);
	size_t n = 0;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < r->n_slots; i++)
		if (r->slots[i] && r->slots[i]->changed > since)
			list[n++] = r->slots[i];
	qsort(list, n, sizeof(struct object *), by_type_and_serial);
	*ret = list;
	*ret_n = n;
	return 0;
}

void registry_note_removals(struct registry *r, bool on)
{
	free(r->removed);
	r->removed = NULL;
	r->n_removed = r->cap_removed = 0;
	r->removals_lost = false;
	r->note_removals = on;
}

void registry_free(struct registry *r)
{
	free(r->slots);
	free(r->removed);
	*r = (struct registry){ 0 };
}
