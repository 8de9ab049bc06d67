// SPDX-License-Identifier: Apache-2.0
// Which accelerator this host really has. A /dev/kvm that opens proves nothing: some kernels offer
// a software KVM that opens, makes VMs, and then emulates ordinary guests too slowly to boot one.
#pragma once

#include <stdbool.h>
#include "base/error.h"

enum vm_accel { VM_ACCEL_TCG, VM_ACCEL_KVM };

struct vm_accel_probe {
	enum vm_accel accel;
	char reason[160]; // one line for people: why this one
};

// KVM only where the processor has vmx or svm (/proc/cpuinfo) and a small guest ran to its end under
// it within a second, in a child process that is killed where it hangs. Never fails: TCG, with the
// reason, is always there. Takes up to a second; the result does not change while the host is up.
void vm_accel_probe(struct vm_accel_probe *ret);

const char *vm_accel_name(enum vm_accel accel); // "kvm", "tcg"

// The guest program of the probe, on an open /dev/kvm. 0 when it ran to its end and did what it
// should, else -errno or -EPROTO. May hang: for a child process only.
int vm_accel_run_guest(int kvm);
