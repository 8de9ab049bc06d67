// SPDX-License-Identifier: Apache-2.0
// Unit tests of a VM's life: one VM with one vGPU against a scripted QEMU, whose process is a fork of the test
// that does nothing; the ferry-vgpu that is started is the test program itself, which answers everything.
#pragma once

#include "base/test.h"
#include "host/host.h"
#include "host/vm_link.h"
#include "host/vm_renew.h"

#define PORTS 3

extern struct host h;
extern struct vm *vm;
extern struct vm_vgpu *g;
extern int monitor;            // QEMU's end
extern char asked[2000];       // of QEMU, since the test's last look
extern int given[PORTS];       // QEMU's ends of the ports; -1: none
extern const char *refused;    // a word of what is refused, or NULL
extern const char *unanswered; // of what has no answer
extern int open_port, held_port;

// Before anything else; comes back in the test alone.
void test_vm_set_up(int argc, char **argv);
int test_vm_tear_down(void); // 0

// A VM that runs.
void test_vm_begin(void);
void test_vm_end(void);

// True: it came within `ms`.
bool turn_until(bool (*over)(void), int ms);

bool is_back(void);
bool is_stopped(void);
bool was_unanswered(void);
bool is_again(void); // lost a second time
bool never(void);
