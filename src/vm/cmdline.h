// SPDX-License-Identifier: Apache-2.0
// QEMU's command line from a VM's configuration. Both hosts of a migration must build the same
// devices in the same order from the same configuration: this file is the only place that does.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/argv.h"
#include "base/error.h"
#include "vm/accel.h"

#define VM_NAME_MAX  31 // characters; network device and host names stay within their limits
#define VM_VCPUS_MAX 64
#define VM_GPUS_MAX  8
#define VM_PORTS_PER_GPU                                                                           \
	31 // guest processes that can use one vGPU at once, if no other number is asked for
#define VM_PORTS_MAX                                                                               \
	93 // of one vGPU; and of all vGPUs of a VM, which QEMU inherits as descriptors:
#define VM_PORTS_ALL_MAX (VM_GPUS_MAX * VM_PORTS_PER_GPU)
#define VM_AGENT_PORT    "ferry.agent"

// The number under which QEMU inherits its end of a vGPU port's socketpair (process_start's fds).
#define VM_GPU_FD_BASE              20
#define VM_GPU_FD(ports, gpu, port) (VM_GPU_FD_BASE + (int)((gpu) * (ports) + (port)))
#define VM_TAP_FD                   3

// All strings are borrowed. "May be NULL" is said where it holds.
struct vm_config {
	const char *name;    // vm_name_check()
	const char *machine; // versioned: "pc-q35-7.2"; see vm_facts
	const char *cpu;     // NULL: what suits the accelerator (vm_default_cpu)
	enum vm_accel accel;
	unsigned vcpus;        // 1 to VM_VCPUS_MAX
	uint64_t memory_bytes; // 64 MiB to 1 TiB, whole MiB
	const char *dir;       // folder of the VM's sockets and logs, as QEMU will see it
	const char *kernel;    // image's `kernel`
	const char *initrd;    // made by vm_initrd_write()
	const char *disk;      // raw image; NULL: none
	const char *tap;       // name of an existing tap device; NULL: VM_TAP_FD, see tap_fd
	bool tap_fd;           // QEMU inherits an open tap as VM_TAP_FD
	const char *mac;       // "52:54:00:xx:xx:xx"; NULL: no network device
	const char *ip;        // "10.77.1.1/16"; NULL: none
	const char *gateway;   // "10.77.0.1"; NULL: none
	unsigned gpus;         // 0 to VM_GPUS_MAX
	unsigned ports;        // of each, 1 to VM_PORTS_MAX, VM_PORTS_ALL_MAX in all
	bool incoming;         // wait for migrate-incoming
};

// Letters, digits, '-', '_' and '.', at most VM_NAME_MAX, the first a letter or digit. The name
// becomes part of paths, of QEMU options and of the guest's host name.
int vm_name_check(const char *name, struct ferry_error *e);

// Adds the arguments to `ret`, argv[0] being the program. QEMU starts stopped (-S), with its
// monitor on DIR/qmp.sock, the agent's port on DIR/agent.sock and the console in DIR/console.log.
// An error of code "bad-config" names the field.
int vm_cmdline(const struct vm_config *c, struct argv *ret, struct ferry_error *e);

const char *vm_default_cpu(enum vm_accel accel);
