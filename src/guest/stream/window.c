// SPDX-License-Identifier: Apache-2.0
#include "guest/stream/window.h"

#include <sys/mman.h>
#include "base/buf.h"
#include "guest/stream/hello.h"
#include "vgpu/protocol/protocol.h"

#define PAGE     4096u
#define RESERVED (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

static enum { WINDOW_NONE, WINDOW_RESERVED, WINDOW_DIRECT } state;

static bool look(uint64_t *ret_at, uint64_t *ret_bytes)
{
	size_t n = 0;
	const uint8_t *value = hello_info(PROTO_INFO_SVM, PROTO_SVM_WHERE, &n);
	struct rd r = rd_make(value, n);

	*ret_at = rd_u64(&r);
	*ret_bytes = rd_u64(&r);
	return !r.failed && *ret_at && *ret_at % PAGE == 0 && *ret_bytes % PAGE == 0 &&
	       *ret_bytes <= SIZE_MAX - *ret_at;
}

// The greeting is the same as long as the process lives.
bool window_where(uint64_t *ret_at, uint64_t *ret_bytes)
{
	static uint64_t at, bytes;
	static bool is_known, is_there;

	if (!is_known)
		is_there = look(&at, &bytes);
	is_known = true;
	*ret_at = at;
	*ret_bytes = bytes;
	return is_there;
}

void window_set_direct(void)
{
	state = WINDOW_DIRECT;
}

bool window_is_direct(void)
{
	return state == WINDOW_DIRECT;
}

// A kernel before 4.17 takes the address as a hint.
static bool reserve(uint64_t at, uint64_t bytes)
{
	void *wanted = (void *)(uintptr_t)at;

	if (state != WINDOW_NONE)
		return true;
	void *got = mmap(wanted, bytes, PROT_NONE, RESERVED | MAP_FIXED_NOREPLACE, -1, 0);
	if (got == wanted)
		state = WINDOW_RESERVED;
	else if (got != MAP_FAILED)
		munmap(got, bytes);
	return got == wanted;
}

static bool put(void *at, size_t bytes, int protection)
{
	return mmap(at, bytes, protection, RESERVED | MAP_FIXED, -1, 0) == at;
}

void *window_take(uint64_t offset, size_t bytes)
{
	uint64_t at, most;

	if (!window_where(&at, &most) || offset % PAGE || offset > most || bytes > most - offset ||
		!reserve(at, most))
		return NULL;
	void *memory = (void *)(uintptr_t)(at + offset);
	if (state == WINDOW_RESERVED && !put(memory, bytes, PROT_READ | PROT_WRITE))
		return NULL;
	return memory;
}

void window_give(void *at, size_t bytes)
{
	if (state == WINDOW_RESERVED)
		put(at, bytes, PROT_NONE);
}
