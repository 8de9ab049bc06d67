// SPDX-License-Identifier: Apache-2.0
#include "base/base64.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(const void *bytes, size_t n, char *ret_text)
{
	const uint8_t *in = bytes;
	char *out = ret_text;

	for (; n > 0; in += 3, out += 4) {
		size_t take = n < 3 ? n : 3;
		uint32_t v = (uint32_t)in[0] << 16 | (take > 1 ? (uint32_t)in[1] << 8 : 0) |
			     (take > 2 ? in[2] : 0);
		out[0] = digits[v >> 18];
		out[1] = digits[v >> 12 & 63];
		out[2] = take > 1 ? digits[v >> 6 & 63] : '=';
		out[3] = take > 2 ? digits[v & 63] : '=';
		n -= take;
	}
	*out = '\0';
}

char *base64_encode_new(const void *bytes, size_t n)
{
	char *text = malloc(BASE64_LEN(n) + 1);

	if (text)
		base64_encode(bytes, n, text);
	return text;
}

static int digit_value(char c)
{
	const char *at = c ? memchr(digits, c, sizeof digits - 1) : NULL;

	return at ? (int)(at - digits) : -1;
}

// Decodes one group of four into up to three bytes. Returns how many, or -EINVAL.
static int decode_group(const char *text, uint8_t ret[3])
{
	int pad = text[3] != '=' ? 0 : text[2] != '=' ? 1 : 2;
	uint32_t v = 0;

	for (int i = 0; i < 4; i++) {
		int d = i >= 4 - pad ? 0 : digit_value(text[i]);
		if (d < 0)
			return -EINVAL;
		v = v << 6 | (uint32_t)d;
	}
	ret[0] = (uint8_t)(v >> 16);
	ret[1] = (uint8_t)(v >> 8);
	ret[2] = (uint8_t)v;
	if ((pad == 1 && ret[2]) || (pad == 2 && (ret[1] || ret[2])))
		return -EINVAL; // bits that padding must not have
	return 3 - pad;
}

ssize_t base64_decode(const char *text, size_t n, void *ret_bytes, size_t cap)
{
	uint8_t *out = ret_bytes, group[3];
	size_t used = 0;

	if (n % 4)
		return -EINVAL;
	for (size_t i = 0; i < n; i += 4) {
		int got = decode_group(text + i, group);
		if (got < 0 || (got < 3 && i + 4 < n))
			return -EINVAL;
		if (used + (size_t)got > cap)
			return -E2BIG;
		memcpy(out + used, group, (size_t)got);
		used += (size_t)got;
	}
	return (ssize_t)used;
}
