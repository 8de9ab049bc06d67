// SPDX-License-Identifier: Apache-2.0
// The build options that say where #include files are: -I folders and -D names.
#pragma once

#include <stddef.h>

#define INCLUDE_PATH_MAX    4096
#define INCLUDE_FOLDERS_MAX 64
#define INCLUDE_NAMES_MAX   256

struct include_options {
	char *text; // holds what the others point to
	const char *folders[INCLUDE_FOLDERS_MAX];
	size_t n_folders;
	const char *names[INCLUDE_NAMES_MAX]; // "NAME=VALUE"
	size_t n_names;
};

// -ENOMEM. What is more than fits is left out: its #include lines then stay.
int include_options_parse(struct include_options *o, const char *options);
void include_options_free(struct include_options *o);

// The value of a -D name, NULL when there is none.
const char *include_options_value(const struct include_options *o, const char *name, size_t n);
