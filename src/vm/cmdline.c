// SPDX-License-Identifier: Apache-2.0
#include "vm/cmdline.h"
#include "vm/config_check.h"
#include "base/argv.h"
#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PROGRAM "qemu-system-x86_64"

// Under TCG a guest has this much less than it was given. QEMU up to 8.2 reads the dirty pages of RAM
// whose size is a multiple of 64 pages word by word, and there forgets to make the emulated processor's
// next writes to these pages visible: what a running guest writes after the second pass began is lost
// (include/exec/ram_addr.h; mended in part in 9.0, "Fix migration dirty bitmap coherency with TCG
// memory access"). RAM of any other size takes the path page by page, which is right. 8 KiB is the unit
// to which QEMU rounds -m.
#define TCG_ODD_BYTES 8192

// QEMU's option lists are split at commas; a doubled one stands for itself.
static char *escape(const char *path)
{
	char *out = malloc(2 * strlen(path) + 1), *to = out;

	for (; out && *path; path++) {
		if (*path == ',')
			*to++ = ',';
		*to++ = *path;
	}
	if (out)
		*to = '\0';
	return out;
}

static void add_machine(struct argv *a, const struct vm_config *c)
{
	argv_option(a, "-name", "guest=%s", c->name);
	// What a headless guest on virtio does not need costs boot time.
	argv_option(a, "-machine", "%s,vmport=off,hpet=off,sata=off,smbus=off", c->machine);
	argv_option(a, "-accel", "%s", c->accel == VM_ACCEL_KVM ? "kvm" : "tcg,tb-size=256");
	argv_option(a, "-cpu", "%s", c->cpu ? c->cpu : vm_default_cpu(c->accel));
	argv_option(a, "-smp", "%u", c->vcpus);
	uint64_t bytes = c->memory_bytes - (c->accel == VM_ACCEL_TCG ? TCG_ODD_BYTES : 0);
	argv_option(a, "-m", "%lluK", (unsigned long long)(bytes >> 10));
}

static void add_kernel(struct argv *a, const struct vm_config *c)
{
	char ip[64] = "", gateway[64] = "";

	if (c->ip)
		snprintf(ip, sizeof ip, " ferry.ip=%s", c->ip);
	if (c->gateway)
		snprintf(gateway, sizeof gateway, " ferry.gw=%s", c->gateway);
	// An emulated processor speculates nothing, and a host that is busy makes the kernel's checks
	// of timers against each other fail. Zeroing what the kernel allocates took a fifth of each
	// write to a port.
	const char *emulated = " mitigations=off tsc=reliable no_timer_check i8042.noaux "
			       "cryptomgr.notests audit=0 init_on_alloc=0";
	argv_option(a, "-kernel", "%s", c->kernel);
	argv_option(a, "-initrd", "%s", c->initrd);
	argv_option(a, "-append", "console=ttyS0 quiet%s ferry.name=%s%s%s ferry.ports=%u",
		c->accel == VM_ACCEL_TCG ? emulated : "", c->name, ip, gateway,
		1 + c->gpus * c->ports);
}

static void add_sockets(struct argv *a, const struct vm_config *c, const char *dir)
{
	argv_option(a, "-chardev", "socket,id=qmp,path=%s/qmp.sock,server=on,wait=off", dir);
	argv_option(a, "-mon", "chardev=qmp,mode=control");
	argv_option(a, "-chardev", "file,id=console,path=%s/console.log,append=on", dir);
	argv_option(a, "-serial", "chardev:console");
	argv_option(a, "-chardev", "socket,id=agent,path=%s/agent.sock,server=on,wait=off", dir);
}

static void add_disk(struct argv *a, const char *path)
{
	argv_option(a, "-blockdev",
		"driver=file,node-name=disk0-file,filename=%s,locking=on,discard=unmap", path);
	argv_option(a, "-blockdev", "driver=raw,node-name=disk0,file=disk0-file");
	argv_option(a, "-device", "virtio-blk-pci,id=vda,drive=disk0");
}

static void add_network(struct argv *a, const struct vm_config *c)
{
	if (c->tap)
		argv_option(a, "-netdev", "tap,id=net0,ifname=%s,script=no,downscript=no", c->tap);
	else
		argv_option(a, "-netdev", "tap,id=net0,fd=%d", VM_TAP_FD);
	// No option ROM: it is for booting from the network, and part of the migrated state.
	argv_option(a, "-device", "virtio-net-pci,id=eth0,netdev=net0,mac=%s,romfile=", c->mac);
}

// Port numbers 0 to 12: 0 is for a console, 1 for the agent, then a vGPU's. An interrupt for each of
// their queues and one for the device saves the guest a tenth of a round trip.
#define SERIAL_DEVICE    "virtio-serial-pci,id=vser%u,max_ports=13,vectors=29%s"
#define PORTS_PER_DEVICE 11

// As many virtio-serial devices for each vGPU as its ports need, the agent's port on the first of all.
// QEMU 7.2 drops a control message for which the guest has no buffer left (send_control_msg), and
// Linux 6.1 has 32: all ports are announced at once, and each takes two more while the guest works
// through them. From the 16th port of a device on the guest never hears that the host's side is open,
// and a write there does not return. Numbers and names are part of docs/interfaces.md, section 9. QEMU
// sends VSERPORT_CHANGE only of ports that have an id.
//
// ioeventfd lets KVM's processor go on while another thread serves the port. An emulated one only hands
// over to QEMU's main thread, which polls every port first: without it a round trip takes a quarter less and
// a write's bytes go a third faster (docs/performance.md).
static void add_ports(struct argv *a, const struct vm_config *c)
{
	const char *served = c->accel == VM_ACCEL_TCG ? ",ioeventfd=off" : "";
	const unsigned devices = (c->ports + PORTS_PER_DEVICE - 1) / PORTS_PER_DEVICE;

	for (unsigned d = 0; d < (c->gpus ? c->gpus * devices : 1); d++)
		argv_option(a, "-device", SERIAL_DEVICE, d, served);
	argv_option(
		a, "-device", "virtserialport,bus=vser0.0,nr=1,chardev=agent,name=" VM_AGENT_PORT);
	for (unsigned g = 0; g < c->gpus; g++) {
		for (unsigned p = 0; p < c->ports; p++) {
			argv_option(a, "-chardev", "socket,id=gpu%up%u,fd=%u", g, p,
				VM_GPU_FD(c->ports, g, p));
			argv_option(a, "-device",
				"virtserialport,id=gpu%up%u,bus=vser%u.0,nr=%u,chardev=gpu%up%u,"
				"name=ferry.gpu%u.%u",
				g, p, g * devices + p / PORTS_PER_DEVICE, p % PORTS_PER_DEVICE + 2,
				g, p, g, p);
		}
	}
}

static int build(struct argv *a, const struct vm_config *c)
{
	_cleanup_free_ char *dir = escape(c->dir), *disk = c->disk ? escape(c->disk) : NULL;

	if (!dir || (c->disk && !disk))
		return -ENOMEM;
	argv_add(a, PROGRAM);
	argv_add(a, "-nodefaults");
	argv_add(a, "-no-user-config");
	add_machine(a, c);
	argv_option(a, "-display", "none");
	argv_option(a, "-sandbox",
		"on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
	argv_option(a, "-msg", "timestamp=on");
	add_sockets(a, c, dir);
	add_kernel(a, c);
	// Randomness from the host: a guest without devices that interrupt would wait for it.
	argv_option(a, "-object", "rng-builtin,id=rng0");
	argv_option(a, "-device", "virtio-rng-pci,rng=rng0");
	if (disk)
		add_disk(a, disk);
	if (c->mac)
		add_network(a, c);
	add_ports(a, c);
	argv_add(a, "-S");
	if (c->incoming)
		argv_option(a, "-incoming", "defer");
	return a->failed ? -ENOMEM : 0;
}

int vm_cmdline(const struct vm_config *c, struct argv *ret, struct ferry_error *e)
{
	int r = vm_config_check(c, e);

	if (r == 0 && build(ret, c) < 0)
		r = ferry_fail(e, ENOMEM, "no-memory", "no memory for QEMU's arguments");
	return r;
}

// Under TCG every feature is QEMU's own, the same on every host with this version; 5-level page
// tables only slow it down. Without the features that say "rep movsb is fast" (under TCG it copies one
// byte at a time) the guest's kernel and C library copy by words: 64 MiB written to a vGPU take 0.22 s
// instead of 3 s. Under KVM both hosts must have equal features, which a precheck sees to.
const char *vm_default_cpu(enum vm_accel accel)
{
	return accel == VM_ACCEL_KVM ? "host,migratable=on" : "max,la57=off,erms=off,fsrm=off";
}
