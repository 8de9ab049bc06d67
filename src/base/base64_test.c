// SPDX-License-Identifier: Apache-2.0
#include "base/base64.h"
#include "base/cleanup.h"
#include "base/test.h"

#include <errno.h>

static void the_vectors_of_rfc_4648(void)
{
	const char *const plain[] = { "", "f", "fo", "foo", "foob", "fooba", "foobar" };
	const char *const coded[] = { "", "Zg==", "Zm8=", "Zm9v",
		"Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy" };
	char text[16], back[16];

	for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
		base64_encode(plain[i], strlen(plain[i]), text);
		CHECK_STR(text, coded[i]);
		CHECK_EQ(base64_decode(text, strlen(text), back, sizeof back), strlen(plain[i]));
		CHECK(!memcmp(back, plain[i], strlen(plain[i])));
	}
}

static void every_byte_comes_back(void)
{
	uint8_t bytes[257], back[257];

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 7);
	_cleanup_free_ char *text = base64_encode_new(bytes, sizeof bytes);
	CHECK_EQ(strlen(text), BASE64_LEN(sizeof bytes));
	CHECK_EQ(base64_decode(text, strlen(text), back, sizeof back), sizeof back);
	CHECK(!memcmp(bytes, back, sizeof back));
	CHECK_EQ(base64_decode(text, strlen(text), back, sizeof back - 1), -E2BIG);
}

static void anything_else_is_refused(void)
{
	const char *const bad[] = { "Z", "Zg=", "Zg==Zg==", "Zh==", "Zm9=", "Z===", "====", "Zm 9",
		"Zm9v\n", "=m9v", "Zm-_" };
	char back[16];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK_EQ(base64_decode(bad[i], strlen(bad[i]), back, sizeof back), -EINVAL);
	CHECK_EQ(base64_decode("\0\0\0\0", 4, back, sizeof back), -EINVAL);
}

int main(void)
{
	RUN(the_vectors_of_rfc_4648);
	RUN(every_byte_comes_back);
	RUN(anything_else_is_refused);
}
