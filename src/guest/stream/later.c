// SPDX-License-Identifier: Apache-2.0
#include "guest/stream/later.h"

#include <stdlib.h>
#include "guest/cl/event.h"
#include "guest/stream/session.h"
#include "guest/stream/transfer.h"

#define LATER_MAX 2048 // the host takes twice as many unfinished messages

struct later {
	struct later *next;
	cl_mem m; // a reference: its memory may be where the bytes are
	struct region region;
	uint64_t sent;
	uint32_t seq;
	bool wanted;
};

static struct later *first, **end = &first;
static unsigned count;

bool later_needed(uint64_t bytes)
{
	uint64_t frames = bytes / PROTO_DATA_MAX + 2, reserve = session.credit_most / 4;

	return events_unset() && session.credit < bytes + frames * PROTO_HEADER * 4 + reserve;
}

static bool fewer(const void *arg)
{
	return count < LATER_MAX;
}

cl_int later_new(cl_mem m, const struct region *r, struct later **ret)
{
	struct later *l = malloc(sizeof *l);

	if (!l)
		return CL_OUT_OF_HOST_MEMORY;
	*l = (struct later){ .m = m, .region = *r };
	object_ref(m);
	cl_int err = session_wait_patiently(fewer, NULL);
	if (err)
		later_free(l);
	else
		*ret = l;
	return err;
}

void later_free(struct later *l)
{
	if (!l)
		return;
	object_unref(l->m);
	free(l);
}

void later_begin(struct later *l, uint32_t seq)
{
	l->seq = seq;
	*end = l;
	end = &l->next;
	count++;
}

void later_wanted(uint32_t seq)
{
	for (struct later *l = first; l; l = l->next)
		if (l->seq == seq)
			l->wanted = true;
}

static bool may_send(const struct later *l)
{
	return l->wanted && l->sent < region_bytes(&l->region) && !session.lost &&
	       session.credit >= PROTO_FRAME_MAX;
}

static struct later *take(struct later **at)
{
	struct later *l = *at;

	*at = l->next;
	if (!l->next)
		end = at;
	count--;
	return l;
}

// What the host asks for it takes at once. No wait for credit here: this may run inside one.
static void pump(void)
{
	for (struct later **at = &first; *at;) {
		struct later *l = *at;
		while (may_send(l))
			if (transfer_some(l->seq, &l->region, &l->sent) != CL_SUCCESS ||
				session.lost)
				return; // the session is over, and the list empty
		if (l->sent == region_bytes(&l->region))
			later_free(take(at));
		else
			at = &l->next;
	}
}

void later_pump(void)
{
	bool before = session_uses_reserve;

	session_uses_reserve = true;
	pump();
	session_uses_reserve = before;
	session_flush();
}

static bool touches(const struct later *l, const uint8_t *at, size_t n)
{
	const struct region *r = &l->region;
	size_t length = (r->slices - 1) * r->slice_pitch + (r->rows - 1) * r->row_pitch + r->row;

	return r->base < at + n && at < r->base + length;
}

bool later_any(void)
{
	return first != NULL;
}

bool later_holds(const void *at, size_t n)
{
	for (const struct later *l = first; l; l = l->next)
		if (touches(l, at, n))
			return true;
	return false;
}

static bool is_sent(const void *arg)
{
	const uint32_t *seq = arg;

	for (const struct later *l = first; l; l = l->next)
		if (l->seq == *seq)
			return false;
	return true;
}

cl_int later_wait_for(uint32_t seq)
{
	return session_wait(is_sent, &seq);
}

void later_drop_all(void)
{
	while (first)
		later_free(take(&first));
}
