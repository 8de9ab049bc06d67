// SPDX-License-Identifier: Apache-2.0
// A VM's configuration as JSON: made once by `ferry vm create`, kept in the inventory, sent whole
// to a peer when the VM moves. Knows the fields and their limits; no processes.
//
// {"name","profile","vgpus":N,"memory_bytes":N,"vcpus":N,"overlay":PATH|null,"disk":PATH|null,
//  "devices":["iso:FILE",...],"mac":"52:54:00:..","ip":"10.77.1.1","prefix":16,"gateway":"10.77.0.1",
//  "settings":{"key":"value"}}; "ip" is "" in a host without a bridge.
#pragma once

#include <stdint.h>
#include "base/error.h"
#include "base/json.h"
#include "host/config.h"

#define VM_NAME_MAX    32
#define VM_MAX_VGPUS   8
#define VM_MAX_VCPUS   64
#define VM_MAX_DEVICES 8
#define VM_PATH_MAX    1023
#define VM_MIN_MEMORY  (128ull << 20)
#define VM_MAX_MEMORY  (4ull << 40)

// The same as a struct, for those who start things. Strings belong to the document.
struct vm_spec {
	const char *name, *profile;
	unsigned vgpus, vcpus;
	uint64_t memory_bytes;
	uint64_t framebuffer_bytes; // of the profile, per vGPU
	const char *overlay, *disk; // NULL: none
	const char *mac, *ip, *gateway;
	unsigned prefix;
};

// 1 to 32 of a-z A-Z 0-9 '-' '_' '.', not starting with a dot or dash.
bool vm_name_valid(const char *name);

// Checks what a user sent to POST /v1/vms (sizes may have units: "512M"), makes paths absolute
// against `cwd` (the client's, a field of the request), fills defaults. A new reference without
// mac and ip, or NULL.
json_t *vm_config_from_request(const json_t *request, struct ferry_error *e);

// Adds mac (derived from host and VM name), ip, prefix and gateway.
int vm_config_add_network(json_t *config, const struct config *c, uint32_t ip,
	struct ferry_error *e);

// Checks every field of a complete configuration, whoever wrote it: a peer or the inventory.
int vm_config_check(const json_t *config, struct ferry_error *e);

// Reads a checked configuration. Never fails on one that vm_config_check() accepts.
int vm_config_read(const json_t *config, struct vm_spec *ret, struct ferry_error *e);
