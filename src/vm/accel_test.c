// SPDX-License-Identifier: Apache-2.0
#include "vm/accel.h"
#include "base/clock.h"
#include "base/test.h"

static void the_probe_is_bounded_and_says_why(void)
{
	struct vm_accel_probe probe = { 0 };
	int64_t began = clock_now_ns();

	vm_accel_probe(&probe);
	CHECK(clock_now_ns() - began < 20 * NSEC_PER_SEC); // of which it waits for one
	CHECK(probe.reason[0]);
	CHECK(probe.accel == VM_ACCEL_TCG || probe.accel == VM_ACCEL_KVM);
	printf("%s: %s\n", vm_accel_name(probe.accel), probe.reason);
}

static void what_is_no_kvm_runs_no_guest(void)
{
	CHECK(vm_accel_run_guest(0) < 0);
}

int main(void)
{
	RUN(the_probe_is_bounded_and_says_why);
	RUN(what_is_no_kvm_runs_no_guest);
}
