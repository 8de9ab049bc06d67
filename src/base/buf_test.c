// SPDX-License-Identifier: Apache-2.0
#include "base/buf.h"
#include "base/test.h"

static void fields_survive_the_round_trip(void)
{
	_cleanup_buf_ struct buf b = { 0 };
	size_t n;

	buf_put_u8(&b, 0xfe);
	buf_put_u16(&b, 0xfedc);
	buf_put_u32(&b, 0xfedcba98);
	buf_put_u64(&b, 0xfedcba9876543210);
	buf_put_blob(&b, "abc", 3);
	struct rd r = rd_make(b.data, b.len);
	CHECK_EQ(rd_u8(&r), 0xfe);
	CHECK_EQ(rd_u16(&r), 0xfedc);
	CHECK_EQ(rd_u32(&r), 0xfedcba98);
	CHECK(rd_u64(&r) == 0xfedcba9876543210);
	CHECK(!memcmp(rd_blob(&r, 3, &n), "abc", 3));
	CHECK_EQ(n, 3);
	CHECK(!r.failed && r.left == 0);
}

static void a_short_input_fails_once_and_stays_failed(void)
{
	struct rd r = rd_make("\1\2\3", 3);

	CHECK_EQ(rd_u32(&r), 0);
	CHECK(r.failed);
	CHECK_EQ(rd_u8(&r), 0);
}

static void a_blob_over_its_cap_is_refused(void)
{
	_cleanup_buf_ struct buf b = { 0 };
	size_t n;

	buf_put_blob(&b, "abcd", 4);
	struct rd r = rd_make(b.data, b.len);
	CHECK(!rd_blob(&r, 3, &n));
	CHECK(r.failed && n == 0);
}

static void a_limit_holds(void)
{
	_cleanup_buf_ struct buf b = { .limit = 4 };

	buf_put_u32(&b, 1);
	CHECK(!b.failed);
	buf_put_u8(&b, 1);
	CHECK(b.failed && b.len == 4);
}

static void consume_keeps_the_rest(void)
{
	_cleanup_buf_ struct buf b = { 0 };

	buf_put(&b, "hello", 5);
	buf_consume(&b, 2);
	CHECK(b.len == 3 && !memcmp(b.data, "llo", 3));
	buf_consume(&b, 9);
	CHECK(b.len == 0);
}

int main(void)
{
	RUN(fields_survive_the_round_trip);
	RUN(a_short_input_fails_once_and_stays_failed);
	RUN(a_blob_over_its_cap_is_refused);
	RUN(a_limit_holds);
	RUN(consume_keeps_the_rest);
}
