// SPDX-License-Identifier: Apache-2.0
#include "guest/cl/info.h"

#include <string.h>

cl_int info_value(const void *value, size_t n, size_t size, void *out, size_t *size_ret)
{
	if (out && size < n)
		return CL_INVALID_VALUE;
	if (out && n)
		memcpy(out, value, n);
	if (size_ret)
		*size_ret = n;
	return CL_SUCCESS;
}

cl_int info_text(const char *text, size_t size, void *out, size_t *size_ret)
{
	const char *t = text ? text : "";

	return info_value(t, strlen(t) + 1, size, out, size_ret);
}

bool info_has(const struct info_row *rows, size_t n, cl_uint param)
{
	for (size_t i = 0; i < n; i++)
		if (rows[i].param == param)
			return true;
	return false;
}

cl_int info_get(const struct info_row *rows, size_t n, const void *object, cl_uint param,
	size_t size, void *out, size_t *size_ret)
{
	for (size_t i = 0; i < n; i++) {
		const char *field = (const char *)object + rows[i].offset;
		if (rows[i].param != param)
			continue;
		if (rows[i].kind == INFO_STRING)
			return info_text(*(char *const *)field, size, out, size_ret);
		return info_value(field, rows[i].bytes, size, out, size_ret);
	}
	return CL_INVALID_VALUE;
}
