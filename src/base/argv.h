// SPDX-License-Identifier: Apache-2.0
// A command line being written: a growing list of owned words. That memory ran out is remembered, and found
// at the end.
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct argv {
	char **v; // ends with NULL; NULL itself while there is no word
	size_t n, cap;
	bool failed; // a word is missing
};

void argv_add(struct argv *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void argv_free(struct argv *a);

// "-name", then its value.
#define argv_option(a, name, ...)                                                                  \
	do {                                                                                       \
		argv_add(a, "%s", name);                                                           \
		argv_add(a, __VA_ARGS__);                                                          \
	} while (0)

// `_cleanup_argv_ struct argv a = { 0 };` frees its words at scope exit.
#define _cleanup_argv_ __attribute__((cleanup(argv_free)))
