// SPDX-License-Identifier: Apache-2.0
#include "vm/cmdline.h"
#include "base/cleanup.h"
#include "base/test.h"

#include <errno.h>

static struct vm_config plain(void)
{
	return (struct vm_config){ .name = "llm",
		.machine = "pc-q35-7.2",
		.accel = VM_ACCEL_TCG,
		.vcpus = 1,
		.memory_bytes = 512u << 20,
		.dir = "vms/llm",
		.kernel = "image/kernel",
		.initrd = "vms/llm/initrd",
		.ports = VM_PORTS_PER_GPU };
}

// All arguments, one a line.
static char *lines(const struct vm_config *c)
{
	static char text[65536];
	struct ferry_error e = FERRY_ERROR_INIT;
	_cleanup_argv_ struct argv argv = { 0 };
	size_t n = 0;

	CHECK_EQ(vm_cmdline(c, &argv, &e), 0);
	CHECK_STR(e.message, "");
	for (char **p = argv.v; *p; p++)
		n += (size_t)snprintf(text + n, sizeof text - n, "%s\n", *p);
	return text;
}

static void the_smallest_vm(void)
{
	struct vm_config c = plain();

	CHECK_STR(lines(&c),
		"qemu-system-x86_64\n-nodefaults\n-no-user-config\n-name\nguest=llm\n"
		"-machine\npc-q35-7.2,vmport=off,hpet=off,sata=off,smbus=off\n"
		"-accel\ntcg,tb-size=256\n-cpu\nmax,la57=off,erms=off,fsrm=off\n-smp\n1\n-"
		"m\n524280K\n-display\nnone\n"
		"-sandbox\non,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol="
		"deny\n"
		"-msg\ntimestamp=on\n"
		"-chardev\nsocket,id=qmp,path=vms/llm/qmp.sock,server=on,wait=off\n"
		"-mon\nchardev=qmp,mode=control\n"
		"-chardev\nfile,id=console,path=vms/llm/console.log,append=on\n"
		"-serial\nchardev:console\n"
		"-chardev\nsocket,id=agent,path=vms/llm/agent.sock,server=on,wait=off\n"
		"-kernel\nimage/kernel\n-initrd\nvms/llm/initrd\n-append\n"
		"console=ttyS0 quiet mitigations=off tsc=reliable no_timer_check i8042.noaux "
		"cryptomgr.notests audit=0 init_on_alloc=0 ferry.name=llm ferry.ports=1\n"
		"-object\nrng-builtin,id=rng0\n-device\nvirtio-rng-pci,rng=rng0\n"
		"-device\nvirtio-serial-pci,id=vser0,max_ports=13,vectors=29,ioeventfd=off\n"
		"-device\nvirtserialport,bus=vser0.0,nr=1,chardev=agent,name=ferry.agent\n-S\n");
}

static void disk_network_and_incoming(void)
{
	struct vm_config c = plain();

	c.accel = VM_ACCEL_KVM;
	c.disk = "/data/a,b.img";
	c.tap = "ferry0";
	c.mac = "52:54:00:01:02:03";
	c.ip = "10.77.1.1/16";
	c.gateway = "10.77.0.1";
	c.incoming = true;
	const char *text = lines(&c);
	CHECK(strstr(text, "-accel\nkvm\n-cpu\nhost,migratable=on\n"));
	CHECK(strstr(text, "filename=/data/a,,b.img,locking=on,discard=unmap\n"));
	CHECK(strstr(text, "tap,id=net0,ifname=ferry0,script=no,downscript=no\n-device\n"
			   "virtio-net-pci,id=eth0,netdev=net0,mac=52:54:00:01:02:03,romfile=\n"));
	CHECK(strstr(text, "-append\nconsole=ttyS0 quiet ferry.name=llm ferry.ip=10.77.1.1/16 "
			   "ferry.gw=10.77.0.1 ferry.ports=1\n"));
	CHECK(strstr(text, "-S\n-incoming\ndefer\n"));
	c.tap = NULL;
	c.tap_fd = true;
	CHECK(strstr(lines(&c), "tap,id=net0,fd=3\n"));
}

static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;

	for (; (text = strstr(text, what)); text++)
		n++;
	return n;
}

static void a_second_vgpu_has_devices_of_its_own(void)
{
	struct vm_config c = plain();

	c.gpus = 2;
	const char *text = lines(&c);
	CHECK_EQ(count(text, "virtserialport,"), 63);
	CHECK_EQ(count(text, "virtio-serial-pci,"), 6);
	CHECK(strstr(text,
		"socket,id=gpu0p0,fd=20\n-device\n"
		"virtserialport,id=gpu0p0,bus=vser0.0,nr=2,chardev=gpu0p0,name=ferry.gpu0.0\n"));
	CHECK(strstr(text, "bus=vser2.0,nr=10,chardev=gpu0p30,name=ferry.gpu0.30\n"));
	CHECK(strstr(text,
		"socket,id=gpu1p0,fd=51\n-device\n"
		"virtserialport,id=gpu1p0,bus=vser3.0,nr=2,chardev=gpu1p0,name=ferry.gpu1.0\n"));
	CHECK(strstr(text, "ferry.ports=63\n"));
	CHECK_EQ(VM_GPU_FD(VM_PORTS_PER_GPU, VM_GPUS_MAX - 1, VM_PORTS_PER_GPU - 1), 267);
}

static void more_ports_are_on_more_devices(void)
{
	struct vm_config c = plain();

	c.gpus = 2;
	c.ports = VM_PORTS_MAX;
	const char *text = lines(&c);
	CHECK_EQ(count(text, "virtserialport,"), 187);
	CHECK_EQ(count(text, "virtio-serial-pci,"), 18);
	CHECK(strstr(text, "bus=vser8.0,nr=6,chardev=gpu0p92,name=ferry.gpu0.92\n"));
	CHECK(strstr(text, "socket,id=gpu1p0,fd=113\n"));
	CHECK(strstr(text, "ferry.ports=187\n"));
}

static void refused(const struct vm_config *c, const char *message)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	_cleanup_argv_ struct argv argv = { 0 };

	CHECK(vm_cmdline(c, &argv, &e) < 0 && !argv.v);
	CHECK_STR(e.code, "bad-config");
	CHECK(strstr(e.message, message));
}

static void hostile_names_are_refused(void)
{
	const char *const names[] = { "", "a,b", "a/b", "../x", "-x", ".x", "a b", "a\nb", "a=b",
		"\xc3\xa9", "a123456789012345678901234567890b" };
	struct vm_config c = plain();

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		c.name = names[i];
		refused(&c, "name");
	}
	c.name = "a123456789012345678901234567890";
	CHECK(strstr(lines(&c), "guest=a123456789012345678901234567890\n"));
	c.name = NULL;
	refused(&c, "name");
}

static void hostile_fields_are_refused(void)
{
	const char *const ips[] = { "10.0.0.1", "10.0.0.1/33", "10.0.0.1/", "x/8",
		"10.0.0.1/8 init=/x", "10.0.0.1/-1" };
	const char *const macs[] = { "52:54:00:01:02", "53:54:00:01:02:03", "52:54:00:01:02:0g",
		"52:54:00:01:02:03,x", "5:54:00:01:02:003" };
	struct vm_config c = plain();

	c.machine = "q35,accel=x", refused(&c, "machine");
	c = plain(), c.cpu = "max -device x", refused(&c, "cpu");
	c = plain(), c.disk = "a\nb", refused(&c, "disk");
	c = plain(), c.kernel = NULL, refused(&c, "kernel");
	c = plain(), c.gateway = "a b", refused(&c, "gateway");
	c = plain(), c.gpus = 1, c.ports = 0, refused(&c, "ports");
	c = plain(), c.gpus = 1, c.ports = VM_PORTS_MAX + 1, refused(&c, "ports");
	c = plain(), c.ports = VM_PORTS_MAX, c.gpus = 3, refused(&c, "in all");
	c = plain(), c.tap = "x,script=/bin/sh", refused(&c, "tap");
	c = plain(), c.mac = "52:54:00:01:02:03", refused(&c, "tap");
	for (size_t i = 0; i < ARRAY_SIZE(ips); i++)
		c = plain(), c.ip = ips[i], refused(&c, "ip");
	for (size_t i = 0; i < ARRAY_SIZE(macs); i++)
		c = plain(), c.tap_fd = true, c.mac = macs[i], refused(&c, "mac");
}

static void limits_are_exact(void)
{
	struct vm_config c = plain();

	c.vcpus = 64, lines(&c);
	c.vcpus = 65, refused(&c, "vcpus");
	c.vcpus = 0, refused(&c, "vcpus");
	c = plain(), c.memory_bytes = 64u << 20, lines(&c);
	c.memory_bytes = 63u << 20, refused(&c, "memory");
	c.memory_bytes = (64u << 20) + 4096, refused(&c, "memory");
	c.memory_bytes = (1ull << 40) + (1u << 20), refused(&c, "memory");
	c = plain(), c.gpus = 8, lines(&c);
	c.gpus = 9, refused(&c, "vGPUs");
}

int main(void)
{
	RUN(the_smallest_vm);
	RUN(disk_network_and_incoming);
	RUN(a_second_vgpu_has_devices_of_its_own);
	RUN(more_ports_are_on_more_devices);
	RUN(hostile_names_are_refused);
	RUN(hostile_fields_are_refused);
	RUN(limits_are_exact);
}
