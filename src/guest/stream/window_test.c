// SPDX-License-Identifier: Apache-2.0
#include "guest/stream/window.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/test.h"
#include "guest/stream/session.h"

#define AT    0x300000000000ULL
#define PAGE  4096u
#define BYTES (64 * PAGE)

// What the host says of it.
static void greet(void)
{
	_cleanup_buf_ struct buf where = { 0 };

	buf_put_u64(&where, AT);
	buf_put_u64(&where, BYTES);
	CHECK_EQ(p_put_info_item(&session.info, &(struct p_info){ .kind = PROTO_INFO_SVM,
							.param = PROTO_SVM_WHERE,
							.value = { where.data, where.len } }),
		0);
}

// Without touching it.
static bool is_readable(const void *at)
{
	int ends[2];

	CHECK_EQ(pipe(ends), 0);
	bool can = write(ends[1], at, 1) == 1;
	close(ends[0]);
	close(ends[1]);
	return can;
}

static void addresses_of_another_are_left_alone(void)
{
	uint8_t *other = mmap((void *)(AT + 8 * PAGE), PAGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK_EQ((uintptr_t)other, AT + 8 * PAGE);
	*other = 7;
	CHECK(!window_take(0, PAGE));
	CHECK(!window_take(8 * PAGE, PAGE));
	CHECK_EQ(*other, 7);
	munmap(other, PAGE);
}

static void memory_lies_where_the_host_has_it(void)
{
	uint8_t *at = window_take(3 * PAGE, PAGE + 1), *next = window_take(5 * PAGE, 10);

	CHECK_EQ((uintptr_t)at, AT + 3 * PAGE);
	CHECK_EQ((uintptr_t)next, AT + 5 * PAGE);
	CHECK_EQ(at[0] | at[PAGE], 0);
	memset(at, 1, PAGE + 1);
	*next = 2;
	window_give(at, PAGE + 1);
	CHECK(!is_readable(at) && !is_readable(at + PAGE) && is_readable(next));
	CHECK(window_take(3 * PAGE, PAGE + 1) == at);
	CHECK_EQ(at[0] | at[PAGE], 0);
	CHECK_EQ(*next, 2);
	window_give(at, PAGE + 1);
	window_give(next, 10);
}

static void nothing_lies_outside(void)
{
	CHECK(!window_take(BYTES, 1));
	CHECK(!window_take(BYTES - PAGE, PAGE + 1));
	CHECK(!window_take(1, 1));
	CHECK(!window_take(UINT64_MAX - PAGE + 1, PAGE));
	CHECK(!window_take(0, SIZE_MAX));
	void *whole = window_take(0, BYTES);
	CHECK(whole);
	window_give(whole, BYTES);
}

int main(void)
{
	greet();
	RUN(addresses_of_another_are_left_alone);
	RUN(memory_lies_where_the_host_has_it);
	RUN(nothing_lies_outside);
}
