// SPDX-License-Identifier: Apache-2.0
// The command line.
#pragma once

#include "trainer.h"

struct options {
	struct shape shape;
	struct recipe recipe;
	const char *text;       // tokens to learn from; NULL: a made-up text
	const char *checkpoint; // NULL: none
	uint64_t every;         // steps between checkpoints
	uint64_t stop_at;       // a step to stop at, for a run that goes on later
	uint64_t platform, device;
	const char *evaluate; // tokens to score instead of training
	uint64_t sample;      // tokens to generate per sequence instead of training
	float temperature;
	const char *export, *vocabulary, *name, *type; // a GGUF file to write instead of training
	uint64_t idle_us;                              // pause after each step
};

// Returns -1 to go on, or the status to exit with (help was printed, or the error was).
int options_parse(struct options *o, int argc, char **argv);
