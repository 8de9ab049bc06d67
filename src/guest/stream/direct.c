// SPDX-License-Identifier: Apache-2.0
#include "guest/stream/direct.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "guest/cl/queue.h"
#include "guest/stream/session.h"
#include "guest/stream/window.h"

static struct {
	uint8_t *at; // NULL: nothing is shared
	uint64_t bytes;
} shared;

// At the addresses of shared virtual memory where they are free, else anywhere: then there is none.
static void *map(int fd, uint64_t bytes)
{
	const int flags = MAP_SHARED | MAP_NORESERVE;
	uint64_t where = 0, n = 0;
	bool fixed = window_where(&where, &n) && n == bytes;
	void *at = mmap((void *)(uintptr_t)where, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (fixed && at == (void *)(uintptr_t)where)
		window_set_direct();
	return at;
}

void direct_begin(int fd, uint64_t bytes)
{
	void *at = MAP_FAILED;

	if (fd >= 0 && bytes && bytes <= SIZE_MAX && !shared.at)
		at = map(fd, bytes);
	if (fd >= 0)
		close(fd);
	if (at == MAP_FAILED)
		return;
	shared.at = at;
	shared.bytes = bytes;
}

void direct_place(cl_mem m, uint64_t offset)
{
	m->place = offset;
	if (shared.at && offset <= shared.bytes && m->size <= shared.bytes - offset)
		m->direct = shared.at + offset;
}

uint8_t *direct_at(cl_mem m)
{
	if (m->type != CL_MEM_OBJECT_BUFFER)
		return NULL;
	if (!m->parent)
		return m->direct;
	return m->parent->direct ? m->parent->direct + m->origin : NULL;
}

bool direct_is_simple(const struct command *c)
{
	return !(c->queue->properties & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE) && !c->waits.n;
}

bool direct_may(const struct command *c, cl_mem m)
{
	return direct_is_simple(c) && direct_at(m);
}

bool direct_may_map(const struct command *c, cl_mem m, bool blocking)
{
	// What the program gave with CL_MEM_USE_HOST_PTR is where it expects the bytes.
	if (m->flags & CL_MEM_USE_HOST_PTR && direct_at(m) != m->host_ptr)
		return false;
	if (!shared.at || !direct_is_simple(c))
		return false;
	// The place comes before any later answer. A failure shows in what the map does next.
	if (blocking && !direct_at(m))
		queue_finish(c->queue);
	return direct_at(m);
}

bool direct_idle(const struct command *c)
{
	return c->queue->ended + 1 >= c->number;
}

cl_int direct_wait(struct command *c)
{
	if (c->wanted)
		return command_turn_wait(c);
	if (!direct_idle(c)) {
		cl_int err = queue_finish(c->queue);
		return err ? err : queue_check(c->queue);
	}
	queue_note_ended(c->queue, c->number);
	return CL_SUCCESS;
}

// The lock is given up: other threads need not wait for a copy of perhaps a gigabyte.
static void copy(uint8_t *at, const struct region *r, bool write)
{
	pthread_mutex_unlock(&session.lock);
	if (write)
		memcpy(at, r->base, r->row);
	else
		memcpy(r->base, at, r->row);
	pthread_mutex_lock(&session.lock);
}

cl_int direct_transfer(
	struct command *c, cl_mem m, size_t offset, const struct region *r, bool write)
{
	object_ref(m);
	cl_int err = direct_wait(c);
	if (!err)
		copy(direct_at(m) + offset, r, write);
	object_unref(m);
	return err;
}
