// SPDX-License-Identifier: Apache-2.0
// One error object for the whole of Ferry: filled where a thing fails, prefixed on the way up, sent
// over the wire and shown to the operator as cause and remedy.
#pragma once

#include <stdbool.h>
#include <jansson.h>

#define FERRY_ERROR_REMEDIES 2

// A function that can fail returns 0 or a negative errno and, as its last parameter, takes a
// `struct ferry_error *` that may be NULL. It is untouched on success. The first cause is kept: a
// second ferry_fail() on a set error only prefixes.
struct ferry_error {
	int err;           // negative errno; 0 means "no error"
	char code[40];     // stable word for scripts: "peer-unreachable", "no-memory"; "" when none
	char message[400]; // one line, no full stop: what failed and why
	char remedies[FERRY_ERROR_REMEDIES][200]; // what the operator can do; "" when none
};

#define FERRY_ERROR_INIT ((struct ferry_error){ 0 })

// Sets code and message, and returns `err` (made negative). `err` is an errno value of either sign.
int ferry_fail(struct ferry_error *e, int err, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

// Puts "text: " before the message. No effect on an unset error. Returns e->err (0 for NULL).
int ferry_error_prefix(struct ferry_error *e, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

// Adds a remedy in the first free place; a third is dropped.
void ferry_error_remedy(struct ferry_error *e, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

// {"code","message","remedies":[...]}; a new reference, never NULL short of exhausted memory.
json_t *ferry_error_to_json(const struct ferry_error *e);

// Reads what ferry_error_to_json() wrote. Foreign or oversized fields are cut, never trusted.
void ferry_error_from_json(struct ferry_error *e, const json_t *doc);
