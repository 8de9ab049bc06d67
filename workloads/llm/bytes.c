// SPDX-License-Identifier: Apache-2.0
#include "bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bytes_add(struct bytes *b, const void *data, size_t len)
{
	if (!len)
		return;
	if (b->failed || len > BYTES_CAP - b->len) {
		b->failed = true;
		return;
	}
	if (b->len + len > b->size) {
		size_t size = b->size * 2 > b->len + len ? b->size * 2 : b->len + len + 256;
		char *data_new = realloc(b->data, size);

		if (!data_new) {
			b->failed = true;
			return;
		}
		b->data = data_new;
		b->size = size;
	}
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

void bytes_print(struct bytes *b, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof line)
		b->failed = true;
	else
		bytes_add(b, line, (size_t)n);
}

void bytes_drop(struct bytes *b, size_t len)
{
	b->len -= len;
	if (b->len)
		memmove(b->data, b->data + len, b->len);
}

void bytes_free(struct bytes *b)
{
	free(b->data);
	memset(b, 0, sizeof *b);
}
