// SPDX-License-Identifier: Apache-2.0
// ferry-vgpu's command line (docs/interfaces.md, section 3).
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "vgpu/backend/backend.h"

#define OPTIONS_PORTS_MAX 93
#define OPTIONS_FIRST_FD  10 // port i is descriptors 10 + 2i and 11 + 2i

struct options {
	const char *control, *profile, *serve, *tracker, *vm_log;
	uint64_t memory_bytes;
	unsigned index, ports, device, tokens, share; // tokens 0: no descriptor
	unsigned user;                                // 0: the one that started it
	struct be_slices slices;
	bool incoming, faults, share_memory, help;
	bool describe; // the device, and no more
};

// Strings point into argv.
int options_parse(int argc, char **argv, struct options *ret, struct ferry_error *e);
