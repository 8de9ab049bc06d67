// SPDX-License-Identifier: Apache-2.0
#include "vm/accel.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROBE_LIMIT_MS 1000
#define CODE_AT        0x1000
#define PROBE_PORT     0xf0
// Turns of the guest's loop: a few milliseconds on a processor, several seconds where a kernel
// emulates each instruction.
#define PROBE_LOOPS 0x00400000u

// Real mode: mov ecx, PROBE_LOOPS; 1: dec ecx; jnz 1b; mov al, 0x5a; out PROBE_PORT, al; hlt
static const uint8_t guest_code[] = { 0x66, 0xb9, PROBE_LOOPS & 0xff, PROBE_LOOPS >> 8 & 0xff,
	PROBE_LOOPS >> 16 & 0xff, PROBE_LOOPS >> 24, 0x66, 0x49, 0x75, 0xfc, 0xb0, 0x5a, 0xe6,
	PROBE_PORT, 0xf4 };

const char *vm_accel_name(enum vm_accel accel)
{
	return accel == VM_ACCEL_KVM ? "kvm" : "tcg";
}

// One page of memory at CODE_AT with the program in it, and the processor about to run it.
static int load_guest(int vm, int vcpu)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct kvm_sregs sregs;
	struct kvm_regs regs = { .rip = CODE_AT, .rflags = 2 };

	if (page == MAP_FAILED)
		return -errno;
	memcpy(page, guest_code, sizeof guest_code);
	struct kvm_userspace_memory_region region = {
		.guest_phys_addr = CODE_AT, .memory_size = 4096, .userspace_addr = (uintptr_t)page
	};
	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0 ||
		ioctl(vcpu, KVM_GET_SREGS, &sregs) < 0)
		return -errno;
	sregs.cs.base = sregs.cs.selector = 0;
	if (ioctl(vcpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(vcpu, KVM_SET_REGS, &regs) < 0)
		return -errno;
	return 0;
}

// Runs until hlt; the program must have written its byte to its port before.
static int run_guest(int vcpu, struct kvm_run *run)
{
	bool wrote = false;

	for (int exits = 0; exits < 16; exits++) {
		if (ioctl(vcpu, KVM_RUN, 0) < 0)
			return -errno;
		if (run->exit_reason == KVM_EXIT_HLT)
			return wrote ? 0 : -EPROTO;
		if (run->exit_reason != KVM_EXIT_IO || run->io.port != PROBE_PORT)
			return -EPROTO;
		wrote = *((uint8_t *)run + run->io.data_offset) == 0x5a;
	}
	return -EPROTO;
}

int vm_accel_run_guest(int kvm)
{
	if (ioctl(kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		return -EPROTO;
	_cleanup_fd_ int vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		return -errno;
	// Old Intel processors run real mode inside a task of KVM's own (KVM_SET_TSS_ADDR); others
	// have no use for it.
	(void)ioctl(vm, KVM_SET_TSS_ADDR, 0xfffbd000);
	_cleanup_fd_ int vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (vcpu < 0 || size < (int)sizeof(struct kvm_run))
		return -errno;
	struct kvm_run *run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (run == MAP_FAILED)
		return -errno;
	int r = load_guest(vm, vcpu);
	if (!r)
		r = run_guest(vcpu, run);
	munmap(run, (size_t)size);
	return r;
}

// Waits for the child at most the limit, then kills it. Its exit status, -ETIMEDOUT or -errno.
static int await_child(pid_t pid)
{
	_cleanup_fd_ int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int64_t end_ns = clock_now_ns() + PROBE_LIMIT_MS * NSEC_PER_MSEC;
	int n = -1, status = 0;

	while (pidfd >= 0 && n != 1) {
		int64_t left_ms = (end_ns - clock_now_ns()) / NSEC_PER_MSEC;
		n = poll(&p, 1, left_ms > 0 ? (int)left_ms : 0);
		if (n == 0 || (n < 0 && errno != EINTR))
			break;
	}
	if (n != 1)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (n != 1)
		return -ETIMEDOUT;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -EPROTO;
}

// "" when KVM runs guests, else why not.
static void probe_kvm(char *ret_why, size_t size)
{
	_cleanup_fd_ int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (kvm < 0) {
		snprintf(ret_why, size, "/dev/kvm cannot be opened: %s", strerror(errno));
		return;
	}
	pid_t parent = getpid(), pid = fork();
	if (pid == 0)
		_exit(process_tie(parent) < 0 ? 1 : -vm_accel_run_guest(kvm) & 0x7f);
	int r = pid < 0 ? -errno : await_child(pid);
	if (r == -ETIMEDOUT)
		snprintf(ret_why, size, "KVM is there but did not finish a small guest in %d ms",
			PROBE_LIMIT_MS);
	else if (r)
		snprintf(ret_why, size, "KVM is there but cannot run a small guest: %s",
			strerror(r < 0 ? -r : r));
}

static bool cpu_virtualizes(void)
{
	_cleanup_free_ char *text = NULL;

	if (file_read("/proc/cpuinfo", 4u << 20, &text, NULL, NULL) < 0)
		return false;
	char *flags = strstr(text, "\nflags"), *end = flags ? strchr(flags + 1, '\n') : NULL;
	if (!end)
		return false;
	*end = ' ';
	end[1] = '\0';
	return strstr(flags, " vmx ") || strstr(flags, " svm ");
}

void vm_accel_probe(struct vm_accel_probe *ret)
{
	*ret = (struct vm_accel_probe){ .accel = VM_ACCEL_TCG };
	if (!cpu_virtualizes()) {
		snprintf(ret->reason, sizeof ret->reason,
			"the processor offers neither vmx nor svm, so /dev/kvm is not trusted");
		return;
	}
	probe_kvm(ret->reason, sizeof ret->reason);
	if (ret->reason[0])
		return;
	ret->accel = VM_ACCEL_KVM;
	snprintf(ret->reason, sizeof ret->reason, "a small guest ran under KVM");
}
