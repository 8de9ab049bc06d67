// SPDX-License-Identifier: Apache-2.0
// What this host's QEMU and processor can do, for prechecks. Read once at start: the program is run
// twice, which takes a tenth of a second.
#pragma once

#include <stdbool.h>
#include "base/error.h"
#include "vm/accel.h"

#define VM_MACHINES_MAX 64

struct vm_facts {
	char qemu_version[24];              // "7.2.22"
	char machines[VM_MACHINES_MAX][32]; // versioned q35 machines, as QEMU lists them
	unsigned n_machines;
	char default_machine[32]; // what new VMs get: pinned, versioned
	char cpu_key[80]; // guests with the default CPU move only between hosts of equal keys
};

// -ENOENT where no QEMU is installed; the remedy says which package.
int vm_facts_read(struct vm_facts *ret, enum vm_accel accel, struct ferry_error *e);

bool vm_facts_has_machine(const struct vm_facts *f, const char *machine);

// The parsers, on the text of `-version` and `-machine help`. False: not such a text.
bool vm_facts_parse_version(struct vm_facts *f, const char *text);
bool vm_facts_parse_machines(struct vm_facts *f, const char *text);
