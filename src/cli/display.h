// SPDX-License-Identifier: Apache-2.0
// A migration on the screen: a bar per round on a terminal, plain lines elsewhere. Fed with the
// API's progress objects; knows no HTTP.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <jansson.h>

struct display {
	FILE *out;
	bool terminal;
	bool line_open; // the cursor is behind an unfinished line
	char phase[32];
	int64_t round;
	uint64_t bytes, total; // of the round
	double rate;
	uint64_t ram_left, ram_total;
	const char *programs_text; // what is done with programs, and to how many
	uint64_t programs_done, programs;
	// Plain lines: the last quarter that was said of a round, of RAM and of programs.
	int64_t quarter, ram_quarter, programs_quarter;
};

void display_init(struct display *d, FILE *out, bool terminal);
void display_progress(struct display *d, const json_t *progress);
// Ends an unfinished line, then says `text` in its own.
void display_say(struct display *d, const char *text);
// The contract's result object in a few lines; `exit` is the status that goes with it.
void display_result(struct display *d, const json_t *result, int exit);
