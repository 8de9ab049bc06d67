// SPDX-License-Identifier: Apache-2.0
#include "host/preface.h"
#include "base/test.h"

static const struct preface sample = {
	.kind = 'V', .migration = { 1, 2 }, .token = { 3, 4 }, .vgpu = 7, .channel = 0x1234
};

static const char *decode(const uint8_t bytes[PREFACE_BYTES])
{
	static struct ferry_error e;
	struct preface p;

	e = FERRY_ERROR_INIT;
	preface_decode(bytes, &p, &e);
	return e.code;
}

static void test_what_is_written_is_read(void)
{
	uint8_t bytes[PREFACE_BYTES];
	struct preface p;

	for (const char *kind = "VR"; *kind; kind++) {
		struct preface in = sample;
		in.kind = *kind;
		preface_encode(&in, bytes);
		CHECK_EQ(preface_decode(bytes, &p, NULL), 0);
		CHECK_EQ(p.kind, *kind);
		CHECK(!memcmp(p.migration, in.migration, 16) && !memcmp(p.token, in.token, 16));
		CHECK_EQ(p.vgpu, 7);
		CHECK_EQ(p.channel, 0x1234);
	}
	preface_encode(&(struct preface){ .kind = 'C' }, bytes);
	CHECK_EQ(preface_decode(bytes, &p, NULL), 0);
	CHECK_EQ(p.kind, 'C');
}

// The bytes are the contract: another version of Ferry reads the same.
static void test_golden_bytes(void)
{
	uint8_t bytes[PREFACE_BYTES];

	preface_encode(&sample, bytes);
	CHECK(!memcmp(bytes, "FERRYV\1\0\1\2", 10));
	CHECK(!memcmp(bytes + 24, "\3\4", 2));
	CHECK(!memcmp(bytes + 40, "\7\0\x34\x12", 4));
}

static void test_wrong_bytes_are_refused(void)
{
	uint8_t good[PREFACE_BYTES], bytes[PREFACE_BYTES];

	preface_encode(&sample, good);
	for (int i = 0; i < PREFACE_BYTES; i++) {
		memcpy(bytes, good, sizeof bytes);
		bytes[i] ^= 0x55;
		bool data = i >= 8 && i < 44; // any value is one
		CHECK_STR(decode(bytes), data               ? ""
					 : i == 6 || i == 7 ? "protocol-version"
							    : "bad-message");
	}
	preface_encode(&(struct preface){ .kind = 'C' }, bytes);
	bytes[8] = 1;
	CHECK_STR(decode(bytes), "bad-message");
}

int main(void)
{
	RUN(test_what_is_written_is_read);
	RUN(test_golden_bytes);
	RUN(test_wrong_bytes_are_refused);
	return 0;
}
