// SPDX-License-Identifier: Apache-2.0
// A VM's configuration as JSON: made once by `ferry vm create`, kept in the inventory, sent whole
// to a peer when the VM moves. Knows the fields and their limits; no processes.
//
// {"name","profile","vgpus":N,"memory_bytes":N,"vcpus":N,"overlay":PATH|null,"disk":PATH|null,
//  "devices":["iso:FILE",...],"machine":"pc-q35-7.2","accel":"tcg","cpu_key":TEXT,"mac":"52:54:00:..","ip":"10.77.1.1","prefix":16,"gateway":"10.77.0.1",
//  "settings":{"key":"value"}}. "ip" is "" in a host without a bridge. "machine" is pinned when the VM
// is made; "accel" and "cpu_key" say what it was last started on, "" before that.
#pragma once

#include <stdint.h>
#include "base/error.h"
#include "base/json.h"
#include "host/config.h"
#include "vm/cmdline.h"

#define VM_MAX_DEVICES    8
#define VM_PATH_MAX       1023
#define VM_MIN_MEMORY     (128ull << 20)
#define VM_DEFAULT_MEMORY (512ull << 20)
#define VM_MAX_MEMORY     (1ull << 40)

// The same as a struct, for those who start things. Strings belong to the document.
struct vm_spec {
	const char *name, *profile;
	unsigned vgpus, ports, vcpus; // ports: of each vGPU
	uint64_t memory_bytes;
	uint64_t framebuffer_bytes; // of the profile, per vGPU
	const char *overlay, *disk; // NULL: none
	const char *mac, *ip, *gateway;
	const char *machine; // "pc-q35-7.2"
	unsigned prefix;
};

// Checks what a user sent to POST /v1/vms (sizes may have units: "512M"; paths are absolute and
// there), fills defaults. A new reference without mac and ip, or NULL.
json_t *vm_doc_from_request(const json_t *request, struct ferry_error *e);

// Adds mac (derived from host and VM name), ip (host byte order; 0: none), prefix and gateway.
void vm_doc_add_network(json_t *config, const struct config *c, uint32_t ip);

// Checks every field of a complete configuration, whoever wrote it: a peer or the inventory.
int vm_doc_check(const json_t *config, struct ferry_error *e);

// Reads a checked configuration. Never fails on one that vm_doc_check() accepts.
int vm_doc_read(const json_t *config, struct vm_spec *ret, struct ferry_error *e);
