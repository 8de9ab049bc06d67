// SPDX-License-Identifier: Apache-2.0
#include "vgpu/session/seal.h"
#include "base/test.h"

#include <string.h>

static const struct p_blob binary = { (const uint8_t *)"what a driver made", 18 };

static void test_what_was_sealed_opens(void)
{
	_cleanup_buf_ struct buf b = { 0 };
	struct p_blob got;

	seal_put(&b, "key", binary);
	CHECK(seal_open(p_blob_of(&b), "key", &got));
	CHECK(got.n == binary.n && !memcmp(got.at, binary.at, binary.n));
	CHECK(seal_open(p_blob_of(&b), NULL, &got));
	CHECK(!seal_open(p_blob_of(&b), "other", &got));
}

static void test_any_damage_shows(void)
{
	_cleanup_buf_ struct buf b = { 0 };
	struct p_blob got;

	seal_put(&b, "key", binary);
	for (size_t bit = 0; bit < b.len * 8; bit++) {
		b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		CHECK(!seal_open(p_blob_of(&b), "key", &got));
		b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t n = 0; n < b.len; n++)
		CHECK(!seal_open((struct p_blob){ b.data, n }, NULL, &got));
	CHECK(!seal_open(binary, NULL, &got));
	buf_put_u8(&b, 0);
	CHECK(!seal_open(p_blob_of(&b), "key", &got));
}

int main(void)
{
	RUN(test_what_was_sealed_opens);
	RUN(test_any_damage_shows);
}
