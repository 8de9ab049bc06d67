// SPDX-License-Identifier: Apache-2.0
// The command line.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shape.h"

struct options {
	const char *listen; // "ADDR:PORT"
	const char *model;  // a GGUF file; NULL: synthetic
	const char *size;   // as given, for the model's name
	const char *preset; // NULL: a shape of our own
	struct shape shape;
	enum weight_type type;
	uint64_t seed;
	unsigned platform, device;
	uint32_t pace;      // tokens a second for each request at most; 0: no limit
	uint32_t bench;     // tokens to measure; 0: no benchmark
	const char *prompt; // with `tokens`
	uint32_t tokens;    // tokens to print; 0: serve
	bool ids;           // print token ids, one a line
	bool needs;         // do not serve: print what the model takes of a device
};

// Returns -1 to go on, or the status to exit with (help was printed, or the error was).
int options_parse(struct options *o, int argc, char **argv);
