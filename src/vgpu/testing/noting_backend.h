// SPDX-License-Identifier: Apache-2.0
// The device of fake_backend.h, noting what it is asked to build: a program is its text and what it was made
// with, and its binary the options that it, or each of its parts, was built with.
#pragma once

#include <stdatomic.h>
#include "vgpu/backend/backend.h"

extern struct noted {
	atomic_int builds, compiles, links, takes;
	char running[64];       // what the program was made with whose kernel was made last
	char last_header[64];   // text of the header that was last compiled with
	const char *last_input; // the last part that a binary was taken of: "native", "text"

	// The test's:
	atomic_bool refuses_natives;
	atomic_bool holds; // compilations wait
	atomic_bool holds_binaries;
} noted;

const struct backend_ops *backend_noting(void);
