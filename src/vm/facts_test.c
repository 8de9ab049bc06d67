// SPDX-License-Identifier: Apache-2.0
#include "vm/facts.h"
#include "base/test.h"

#include <unistd.h>

static void versions_are_read(void)
{
	struct vm_facts f = { 0 };

	CHECK(vm_facts_parse_version(&f, "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)\n"));
	CHECK_STR(f.qemu_version, "7.2.22");
	CHECK(!vm_facts_parse_version(&f, "bash: no such program"));
}

static void old_machines_are_preferred_over_new(void)
{
	struct vm_facts f = { 0 };

	CHECK(vm_facts_parse_machines(&f,
		"Supported machines are:\n"
		"pc-i440fx-9.2        Standard PC\nq35   Standard PC (alias of pc-q35-9.2)\n"
		"pc-q35-9.2           Standard PC\npc-q35-7.2           Standard PC\n"));
	CHECK_EQ(f.n_machines, 2);
	CHECK_STR(f.default_machine, "pc-q35-7.2");
	CHECK(vm_facts_has_machine(&f, "pc-q35-9.2") && !vm_facts_has_machine(&f, "q35"));
}

static void without_the_preferred_one_the_newest_is_taken(void)
{
	struct vm_facts f = { 0 };

	CHECK(vm_facts_parse_machines(&f, "pc-q35-6.2 a\npc-q35-5.10 b\npc-q35-5.2 c"));
	CHECK_STR(f.default_machine, "pc-q35-6.2");
	CHECK(!vm_facts_parse_machines(&f, "none"));
}

static void this_hosts_qemu_can_be_asked(void)
{
	struct vm_facts f = { 0 };

	if (access("/usr/bin/qemu-system-x86_64", X_OK))
		SKIP("qemu-system-x86_64 is not installed");
	CHECK_EQ(vm_facts_read(&f, VM_ACCEL_TCG, NULL), 0);
	CHECK(f.n_machines > 0 && !strncmp(f.cpu_key, "tcg-", 4));
	CHECK_EQ(vm_facts_read(&f, VM_ACCEL_KVM, NULL), 0);
	CHECK(!strncmp(f.cpu_key, "kvm-", 4));
}

int main(void)
{
	RUN(versions_are_read);
	RUN(old_machines_are_preferred_over_new);
	RUN(without_the_preferred_one_the_newest_is_taken);
	RUN(this_hosts_qemu_can_be_asked);
}
