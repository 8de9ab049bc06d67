// SPDX-License-Identifier: Apache-2.0
// clGet*Info: one table per object says which parameter is which field; one function answers. Pure.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "guest/cl/dispatch.h"

enum info_kind {
	INFO_FIELD,  // the field's own bytes
	INFO_STRING, // the field is a char *, NULL counts as ""
};

struct info_row {
	cl_uint param;
	enum info_kind kind;
	size_t offset, bytes; // of the field
};

#define INFO_OF(param, type, field)                                                                \
	{                                                                                          \
		param, INFO_FIELD, offsetof(type, field), sizeof((type *)0)->field                 \
	}
#define INFO_TEXT(param, type, field)                                                              \
	{                                                                                          \
		param, INFO_STRING, offsetof(type, field), 0                                       \
	}

// Hands out n bytes as every clGet*Info does: CL_INVALID_VALUE when `size` is too small for a value
// that is asked for.
cl_int info_value(const void *value, size_t n, size_t size, void *out, size_t *size_ret);
cl_int info_text(const char *text, size_t size, void *out, size_t *size_ret);
bool info_has(const struct info_row *rows, size_t n, cl_uint param);
// Answers from the table; CL_INVALID_VALUE for a parameter that is not in it.
cl_int info_get(const struct info_row *rows, size_t n, const void *object, cl_uint param,
	size_t size, void *out, size_t *size_ret);
