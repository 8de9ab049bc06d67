// SPDX-License-Identifier: Apache-2.0
// The table of commands: what is not here does not exist, what is here is in the help.
#include "base/cleanup.h"
#include "cli/cli.h"

const struct cli_command cli_commands[] = {
	{ "vm create",
		"NAME --profile P [--vgpus N] [--ports 31] [--memory 512M] [--vcpus 1] [--overlay "
		"DIR] [--disk "
		"FILE]"
		" [--device KIND:WHAT]...",
		"make a VM, stopped",
		"  --profile P    the vGPU's size; `ferry profile list` shows them; none: no vGPU\n"
		"  --vgpus N      so many vGPUs (default 1). Programs use the first; the others "
		"are\n"
		"                 for those told so (FERRY_VGPU); a VM with several does not move\n"
		"  --ports N      so many programs can use a vGPU at once, at most 93, and 248 in "
		"all\n"
		"                 (default 31); each 11 are one more device of the guest's\n"
		"  --overlay DIR  the folder's files appear in the guest's root\n"
		"  --disk FILE    a raw disk image or block device; it must be under the same path "
		"on\n"
		"                 every host that the VM shall move to\n"
		"  --device KIND:WHAT  passthrough:ADDRESS, iso:/FILE or serial:/dev/NAME: kept in "
		"the\n"
		"                 configuration; such a VM cannot be moved, and this version "
		"cannot start it\n",
		cmd_vm_create },
	{ "vm start", "NAME", "start a VM and wait until its guest has booted", NULL,
		cmd_vm_start },
	{ "vm stop", "NAME [--timeout S]", "ask the guest to power off, then end it",
		"  --timeout S    how long the guest may take, 15 by default; 0: at once\n",
		cmd_vm_stop },
	{ "vm rm", "NAME", "remove a stopped VM, with its logs", NULL, cmd_vm_rm },
	{ "vm list", "", "all VMs of the host", NULL, cmd_vm_list },
	{ "vm show", "NAME", "one VM: state, epoch, owner, address, processes, log", NULL,
		cmd_vm_show },
	{ "vm log", "NAME", "print the VM's log", NULL, cmd_vm_log },
	{ "vm exec", "NAME [--detach] -- CMD... | NAME --attach JOB:OUT:ERR",
		"run CMD in the guest",
		"Its output and exit status come back, also when the VM moves to another host "
		"meanwhile.\n"
		"When this command is interrupted the program ends.\n"
		"  --detach       start it and return; its output goes to the guest's console\n"
		"  --attach JOB:OUT:ERR  go on with a program whose host could not be reached, "
		"from where\n"
		"                 its output was lost: as the error said it\n",
		cmd_vm_exec },
	{ "vm set", "NAME KEY=VALUE", "set a setting of a VM; KEY= goes back to the host's",
		"`ferry help settings` lists the keys.\n", cmd_vm_set },
	{ "vm get", "NAME [KEY]", "a VM's settings, and where each comes from", NULL, cmd_vm_get },
	{ "profile list", "", "vGPU profiles, and how many of each the host can place",
		"Kinds: time-sliced (the whole device in turns, `vgpu.scheduling`), partitioned "
		"(compute\n"
		"units of its own), passthrough (never moves).\n"
		"PLACEABLE counts further VMs with one such vGPU and 512 MiB of RAM, where no "
		"other is placed.\n",
		cmd_profile_list },
	{ "profile advise", "--for training|inference|multitenant",
		"which profile suits which work, and why", NULL, cmd_profile_advise },
	{ "host show", "", "this host: accelerator, QEMU, memory, peers", NULL, cmd_host_show },
	{ "host set", "KEY=VALUE", "set a setting of the host, for all its VMs; KEY= goes back",
		"`ferry help settings` lists the keys; a VM's own setting is nearer. "
		"`vgpu.scheduling`, which\n"
		"all VMs share, is set here only and takes effect at once.\n",
		cmd_host_set },
	{ "host get", "[KEY]", "the host's settings, and where each comes from", NULL,
		cmd_host_get },
	{ "check", "NAME --to HOST", "all that stands in the way of moving a VM",
		"Every finding has a code, a cause and a remedy. Exit status 3 where one "
		"refuses.\n",
		cmd_check },
	{ "estimate", "NAME --to HOST [--mode M]", "what moving a VM would take, without moving it",
		NULL, cmd_estimate },
	{ "migrate",
		"NAME --to HOST [--mode precopy|stop-copy|single-pass] [--target-stun MS]"
		" [--stun-limit S] [--channels N] [--bandwidth RATE] [--dedup off] [--verify]",
		"move a running VM to another host",
		"  --mode         precopy: rounds while it runs, then the rest; stop-copy: all GPU "
		"memory\n"
		"                 in the stun; single-pass: whole buffers, once\n"
		"  --target-stun  switch over once the forecast is below this\n"
		"  --stun-limit   a longer stun is aborted, the VM goes on here\n"
		"  --bandwidth    of vGPU and RAM together, such as 1gbit, 100MB/s or off\n"
		"  --verify       compare the whole framebuffer on both sides before COMMIT\n"
		"Ctrl-C asks for an end before COMMIT and waits for the result.\n"
		"Exit status: 0 moved; 1 failed or aborted, the VM runs on the source; 3 refused "
		"by a\n"
		"check; 4 a person must decide (`ferry recover`).\n",
		cmd_migrate },
	{ "cancel", "NAME", "ask a running migration to end before COMMIT", NULL, cmd_cancel },
	{ "recover", "NAME --decision run-here|give-up", "decide after exit status 4",
		"  run-here   this host's copy runs. Only when the other host certainly does not "
		"run it.\n"
		"  give-up    this host's copy is destroyed. Only when the other host has it.\n",
		cmd_recover },
	{ "history", "[--limit N]", "migrations that ended", NULL, cmd_history },
	{ "events", "[--limit N]", "what happened on the host", NULL, cmd_events },
	{ "run", "--profile P -- CMD...", "run a local program on a private vGPU, no VM",
		"Needs no ferryd. The program finds the vGPU through OCL_ICD_VENDORS and "
		"FERRY_VGPU.\n"
		"It does not migrate: its process stays on this host.\n"
		"With a partitioned profile its vGPU has processors of its own: of those that\n"
		"this command may use, and no other partition's. Exit status 3: none are free.\n",
		cmd_run },
	{ "fault", "set NAME:ACTION | list | clear [NAME]", "fault points, for tests", NULL,
		cmd_fault },
	{ "patch", "NAME", "", NULL, NULL },
	{ "suspend", "NAME --to FILE", "", NULL, NULL },
	{ "resume", "FILE --on HOST", "", NULL, NULL },
	{ "evacuate", "HOST [--dry-run]", "", NULL, NULL },
	{ "host join", "", "", NULL, NULL },
	{ "host list", "", "", NULL, NULL },
	{ "host activate", "", "", NULL, NULL },
	{ "balance", "", "", NULL, NULL },
	{ "top", "", "", NULL, NULL },
	{ "doctor", "", "", NULL, NULL },
	{ "simulate", "", "", NULL, NULL },
};
const size_t cli_command_count = ARRAY_SIZE(cli_commands);
