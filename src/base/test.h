// SPDX-License-Identifier: Apache-2.0
// Unit tests: a program of plain functions. A failed CHECK prints where and what and ends the
// program with status 1; exit 77 with a printed reason is a skip that meson shows.
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: %s: failed: %s\n", __FILE__, __LINE__, __func__,   \
				#cond);                                                            \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

// Compares integers and prints both.
#define CHECK_EQ(a, b)                                                                             \
	do {                                                                                       \
		long long a_ = (long long)(a), b_ = (long long)(b);                                \
		if (a_ != b_) {                                                                    \
			fprintf(stderr, "%s:%d: %s: %s is %lld, not %lld\n", __FILE__, __LINE__,   \
				__func__, #a, a_, b_);                                             \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

#define CHECK_STR(a, b)                                                                            \
	do {                                                                                       \
		const char *a_ = (a), *b_ = (b);                                                   \
		if (strcmp(a_, b_)) {                                                              \
			fprintf(stderr, "%s:%d: %s: %s is \"%s\", not \"%s\"\n", __FILE__,         \
				__LINE__, __func__, #a, a_, b_);                                   \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

#define RUN(fn)                                                                                    \
	do {                                                                                       \
		fn();                                                                              \
		printf("ok %s\n", #fn);                                                            \
	} while (0)

#define SKIP(reason)                                                                               \
	do {                                                                                       \
		printf("skipped: %s\n", reason);                                                   \
		exit(77);                                                                          \
	} while (0)
