// SPDX-License-Identifier: Apache-2.0
#include "wire/record.h"

#include <errno.h>
#include "base/test.h"

static int decodes(struct record r)
{
	uint8_t bytes[RECORD_BYTES];
	struct record back;
	int rc;

	record_encode(&r, bytes);
	rc = record_decode(bytes, &back, NULL);
	if (!rc) {
		CHECK_EQ(back.type, r.type);
		CHECK_EQ(back.flags, r.flags);
		CHECK_EQ(back.round, r.round);
		CHECK_EQ(back.count, r.count);
		CHECK_EQ(back.first, r.first);
		CHECK_EQ(back.payload, r.payload);
	}
	return rc;
}

static struct record pages(uint32_t count, uint64_t first)
{
	return (struct record){ RECORD_PAGES, 0, 1, count, first, (uint64_t)count * 4096 };
}

static void layout_is_as_documented(void)
{
	struct record r = { RECORD_PAGES, 0, 0x01020304, 2, 0x0912131415, 8192 };
	static const uint8_t expect[RECORD_BYTES] = { 'F', 'R', 'R', 'C', 1, 0, 0, 0, 4, 3, 2, 1, 2,
		0, 0, 0, 0x15, 0x14, 0x13, 0x12, 0x09, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0 };
	uint8_t bytes[RECORD_BYTES];

	record_encode(&r, bytes);
	CHECK(!memcmp(bytes, expect, sizeof(bytes)));
	CHECK_EQ(decodes(r), 0);
}

static void page_counts_and_places(void)
{
	CHECK_EQ(decodes(pages(1, 0)), 0);
	CHECK_EQ(decodes(pages(RECORD_MAX_PAGES, 5)), 0);
	CHECK_EQ(decodes(pages(0, 5)), -EBADMSG);
	CHECK_EQ(decodes(pages(RECORD_MAX_PAGES + 1, 5)), -EBADMSG);
	CHECK_EQ(decodes(pages(1, RECORD_MAX_PAGE - 1)), 0);
	CHECK_EQ(decodes(pages(2, RECORD_MAX_PAGE - 1)), -EBADMSG);
	CHECK_EQ(decodes(pages(1, UINT64_MAX)), -EBADMSG);
	CHECK_EQ(decodes((struct record){ RECORD_PAGES, 0, 1, 2, 0, 4096 }), -EBADMSG);
	CHECK_EQ(decodes((struct record){ RECORD_PAGES, 0, 1, 1, 0, UINT64_MAX }), -EBADMSG);
	CHECK_EQ(decodes((struct record){ RECORD_PAGES, 1, 1, 1, 0, 4096 }), -EBADMSG);
	CHECK_EQ(decodes((struct record){ RECORD_ZERO, 0, 1, UINT32_MAX, 7, 0 }), 0);
	CHECK_EQ(decodes((struct record){ RECORD_FREE, 0, 1, 0, 7, 0 }), -EBADMSG);
	CHECK_EQ(decodes((struct record){ RECORD_FREE, 0, 1, 1, 7, 1 }), -EBADMSG);
}

static void rounds_start_at_one(void)
{
	CHECK_EQ(decodes((struct record){ RECORD_BARRIER, 0, 0, 0, 0, 0 }), -EBADMSG);
	CHECK_EQ(decodes((struct record){ RECORD_BARRIER, 0, 1, 0, 0, 0 }), 0);
	CHECK_EQ(decodes((struct record){ RECORD_BARRIER, 0, UINT32_MAX, 0, 0, 0 }), 0);
	CHECK_EQ(decodes((struct record){ RECORD_BARRIER, 0, 1, 1, 0, 0 }), -EBADMSG);
	CHECK_EQ(decodes((struct record){ RECORD_BARRIER, 0, 1, 0, 1, 0 }), -EBADMSG);
}

static void payload_caps(void)
{
	CHECK_EQ(decodes((struct record){ RECORD_OBJECT, RECORD_MORE, 1, 0, 0, RECORD_MAX_CHUNK }),
		0);
	CHECK_EQ(decodes((struct record){ RECORD_OBJECT, 0, 1, 0, 0, RECORD_MAX_CHUNK + 1 }),
		-EBADMSG);
	CHECK_EQ(decodes((struct record){ RECORD_OBJECT, 0, 1, 0, 0, 0 }), -EBADMSG);
	CHECK_EQ(decodes((struct record){ RECORD_FINISH, 0, 1, 0, 0, RECORD_ROOT_BYTES }), 0);
	CHECK_EQ(decodes((struct record){ RECORD_FINISH, 0, 1, 0, 0, RECORD_ROOT_BYTES - 1 }),
		-EBADMSG);
	CHECK_EQ(decodes((struct record){ RECORD_ROUND, RECORD_SAME, 1, 0, 0, 0 }), 0);
	CHECK_EQ(decodes((struct record){ RECORD_ROUND, 0, 1, 65536, 0, 65536 * 16 }), 0);
	CHECK_EQ(decodes((struct record){ RECORD_ROUND, 0, 1, 65537, 0, 65537 * 16 }), -EBADMSG);
	CHECK_EQ(decodes((struct record){ RECORD_ERROR, 0, 1, 0, 0, RECORD_MAX_ERROR + 1 }),
		-EBADMSG);
}

// Every single-bit change of magic, type, flags and reserved bytes is refused, or is another legal
// record; none crashes.
static void flipped_bits(void)
{
	struct record r = pages(1, 9), back;
	uint8_t bytes[RECORD_BYTES];

	for (unsigned bit = 0; bit < RECORD_BYTES * 8; bit++) {
		record_encode(&r, bytes);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (!record_decode(bytes, &back, NULL))
			CHECK((bit >= 64 && bit < 96) || (bit >= 128 && bit < 192));
	}
	record_encode(&r, bytes);
	for (unsigned type = 0; type < 256; type++) {
		bytes[4] = (uint8_t)type;
		CHECK_EQ(record_decode(bytes, &back, NULL), type == RECORD_PAGES ? 0 : -EBADMSG);
	}
}

static void errors_cross_the_wire(void)
{
	struct ferry_error e = FERRY_ERROR_INIT, back = FERRY_ERROR_INIT;
	_cleanup_buf_ struct buf b = { 0 };

	ferry_fail(&e, EPROTO, "roots-differ", "line\nbreak");
	record_error_encode(&e, &b);
	CHECK(b.len <= RECORD_MAX_ERROR);
	record_error_decode(b.data, b.len, &back);
	CHECK_EQ(back.err, -EREMOTEIO);
	CHECK_STR(back.code, "roots-differ");
	CHECK_STR(back.message, "line?break");
	for (size_t n = 0; n < b.len; n++) {
		back = FERRY_ERROR_INIT;
		record_error_decode(b.data, n, &back);
		CHECK_STR(back.code, "peer-refused");
	}
}

int main(void)
{
	RUN(layout_is_as_documented);
	RUN(page_counts_and_places);
	RUN(rounds_start_at_one);
	RUN(payload_caps);
	RUN(flipped_bits);
	RUN(errors_cross_the_wire);
	return 0;
}
