// SPDX-License-Identifier: Apache-2.0
// src/host is ferryd: the only place that knows both QEMU and the vGPU. It drives the engine and
// never touches bulk data. One thread, one loop; nothing here blocks for more than a file's fsync.
//
// This header is the daemon itself: what all of its parts share. VMs are in vm.h, connections to
// other hosts in peer.h, the migration driver in migration/migration.h.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "base/json.h"
#include "base/loop.h"
#include "host/config.h"
#include "host/device.h"
#include "host/fault.h"
#include "vm/accel.h"
#include "vm/facts.h"

#define FERRY_VERSION_TEXT "0.1.0"
#define PEER_PROTOCOL      1 // docs/interfaces.md, section 6

struct api;
struct exec;
struct guest_route;
struct guest_server;
struct inventory;
struct listener;
struct migrations;
struct peer;
struct tokens_memory;
struct vm;

struct host {
	// Set at start, read only afterwards.
	struct loop *loop;
	struct config config;
	struct vm_accel_probe accel; // what the probe at start found
	struct vm_facts facts; // of the QEMU that VMs are started with; "" where there is none

	struct host_device device; // what VMs get here; device.h
	struct host_device_reader device_reader;

	struct inventory *inventory;
	struct vm *vms; // all that the inventory holds
	struct faults *faults;
	struct tokens_memory *turns; // on the device, with its descriptor; NULL: none (turns.h)
	int turns_fd;
	struct api *api;
	struct listener *listener;
	struct migrations *migrations;      // the migration driver's own; it sets and frees it
	struct peer *accepted;              // peers that nobody took yet
	struct exec *execs;                 // programs of `ferry vm exec`; exec.h
	struct guest_route *routes;         // ways to guests, here and elsewhere; guest_route.h
	struct guest_server *guest_servers; // connections that ask guests here; guest_serve.h
};

// Opens everything below the configured state folder (the caller has changed into it), finds the
// VMs of the inventory and their processes again, listens, and calls migration_recover().
int host_open(struct host *h, struct loop *l, const struct config *c, struct ferry_error *e);
// Closes descriptors and files. VMs run on.
void host_close(struct host *h);

// Something an operator may want to know: goes to the event log (GET /v1/events), to the daemon's
// log, and to those who follow. `vm` may be NULL; `data` is stolen and may be NULL.
void host_event(struct host *h, const struct vm *vm, const char *name, json_t *data);

// Keeps the contract's result object of an ended migration for `ferry history`. `result` is
// borrowed. The migration driver calls it once per migration, also after a restart.
void host_history(struct host *h, const json_t *result);
