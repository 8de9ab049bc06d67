// SPDX-License-Identifier: Apache-2.0
#include "guest/cl/rect.h"
#include "guest/cl/region.h"
#include "base/test.h"

static void a_flat_region_is_a_copy(void)
{
	char from[] = "0123456789", to[11] = "";
	struct region r = region_flat(from, 10);

	CHECK_EQ(region_bytes(&r), 10);
	region_gather(&r, 3, (uint8_t *)to, 4);
	CHECK_STR(to, "3456");
}

static void a_box_is_packed_and_unpacked_in_any_pieces(void)
{
	uint8_t memory[200], packed[24], back[200];
	struct region r = { memory + 5, 4, 3, 2, 10, 60 };

	for (size_t i = 0; i < sizeof memory; i++)
		memory[i] = (uint8_t)i;
	CHECK_EQ(region_bytes(&r), 24);
	for (size_t piece = 1; piece <= 24; piece++) {
		memset(packed, 0, sizeof packed);
		for (size_t at = 0; at < 24; at += piece)
			region_gather(&r, at, packed + at, at + piece > 24 ? 24 - at : piece);
		for (size_t i = 0; i < 24; i++)
			CHECK_EQ(packed[i], 5 + i % 4 + i / 4 % 3 * 10 + i / 12 * 60);
		memset(back, 0xee, sizeof back);
		struct region to = r;
		to.base = back + 5;
		for (size_t at = 0; at < 24; at += piece)
			region_scatter(&to, at, packed + at, at + piece > 24 ? 24 - at : piece);
		CHECK(back[5] == 5 && back[9] == 0xee && back[5 + 60 + 23] == 5 + 60 + 23);
	}
}

static void pitches_are_filled_in_and_checked(void)
{
	size_t origin[] = { 1, 2, 3 }, region[] = { 4, 5, 6 }, none[] = { 4, 0, 6 };
	struct rect r = { origin, region, 0, 0 };

	CHECK(rect_fix(&r) && r.row_pitch == 4 && r.slice_pitch == 20);
	CHECK_EQ(rect_offset(&r), 1 + 8 + 60);
	CHECK_EQ(rect_end(&r), 1 + 4 + (2 + 4) * 4 + (3 + 5) * 20);
	r = (struct rect){ origin, region, 3, 0 };
	CHECK(!rect_fix(&r));
	r = (struct rect){ origin, region, 8, 39 };
	CHECK(!rect_fix(&r));
	r = (struct rect){ origin, region, 8, 44 };
	CHECK(!rect_fix(&r)); // no multiple of the row pitch
	r = (struct rect){ origin, none, 0, 0 };
	CHECK(!rect_fix(&r));
	r = (struct rect){ NULL, region, 0, 0 };
	CHECK(!rect_fix(&r));
}

static void an_end_past_all_numbers_is_past_every_buffer(void)
{
	size_t origin[] = { 0, 0, SIZE_MAX / 2 }, region[] = { 4, 4, 4 };
	struct rect r = { origin, region, 16, 64 };

	CHECK(rect_fix(&r));
	CHECK(rect_end(&r) == UINT64_MAX);
}

int main(void)
{
	RUN(a_flat_region_is_a_copy);
	RUN(a_box_is_packed_and_unpacked_in_any_pieces);
	RUN(pitches_are_filled_in_and_checked);
	RUN(an_end_past_all_numbers_is_past_every_buffer);
}
