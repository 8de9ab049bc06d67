// SPDX-License-Identifier: Apache-2.0
// The real ferry-vgpu, and a hostile guest: its kernel makes system calls. What is given up is really
// gone, in every thread, and a program still builds, which takes the driver a compiler and a linker.
//
// usage: confine_test FERRY-VGPU
#include "vgpu/control/confine.h"
#include "vgpu/testing/testclient.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/sanitized.h"
#include "base/test.h"

#include <CL/cl.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// OpenCL C, as PoCL compiles it, has inline assembly: this is what a hostile kernel can do.
static const char source[] =
	"__kernel void call(__global long *a) {\n"
	"  for (int i = 0; i < 8; i++) {\n"
	"    long r;\n"
	"    __asm__ volatile(\"xorl %%r10d, %%r10d\\n\\tsyscall\" : \"=a\"(r) : \"a\"(a[i * 4]),\n"
	"      \"D\"(a[i * 4 + 1]), \"S\"(a[i * 4 + 2]), \"d\"(0L)\n"
	"      : \"rcx\", \"r10\", \"r11\", \"memory\");\n"
	"    a[i * 4] = r;\n"
	"  }\n"
	"}\n";

// openat(2) of the path behind each item's flags; its answer in place of them.
static const char opening[] = "__kernel void reach(__global long *a) {\n"
			      "  for (int i = 0; i < 8; i++, a += 8) {\n"
			      "    long r;\n"
			      "    __asm__ volatile(\"movl $384, %%r10d; syscall\" : \"=a\"(r) : "
			      "\"a\"(257L), \"D\"(-100L), \"S\"((long)(a + 1)),\n"
			      "      \"d\"(a[0]) : \"rcx\", \"r10\", \"r11\", \"memory\");\n"
			      "    a[0] = r;\n"
			      "  }\n"
			      "}\n";

// A process that stays: fork(2), and the child waits for nothing, a second at a time.
static const char leaving[] = "static long call(long nr) {\n"
			      "  long r;\n"
			      "  __asm__ volatile(\"syscall\" : \"=a\"(r) : \"a\"(nr), \"D\"(0L), "
			      "\"S\"(0L), \"d\"(1000L)\n"
			      "    : \"rcx\", \"r11\", \"memory\");\n"
			      "  return r;\n"
			      "}\n"
			      "__kernel void leave(__global long *a) {\n"
			      "  long r = call(a[0]);\n"
			      "  while (!r) call(a[1]);\n"
			      "  a[0] = r;\n"
			      "}\n";

static char path[128];

// Every thread's line of /proc/PID/task/TID/status.
static void expect_status(pid_t pid, const char *name, const char *value)
{
	char folder[64], file[128], want[64];
	int threads = 0;

	snprintf(folder, sizeof folder, "/proc/%d/task", (int)pid);
	snprintf(want, sizeof want, "\n%s:\t%s\n", name, value);
	DIR *d = opendir(folder);
	CHECK(d);
	for (struct dirent *at; (at = readdir(d));) {
		_cleanup_free_ char *text = NULL;
		if (at->d_name[0] == '.')
			continue;
		snprintf(file, sizeof file, "%s/%.16s/status", folder, at->d_name);
		if (file_read(file, 65536, &text, NULL, NULL) < 0)
			continue; // it has just ended
		CHECK(strstr(text, want));
		threads++;
	}
	closedir(d);
	CHECK(threads > 1);
}

// `name` as proc_pid_limits(5) has it; the limit is a number, soft and hard.
static void expect_limit(pid_t pid, const char *name, unsigned long want)
{
	char file[64];
	_cleanup_free_ char *text = NULL;
	unsigned long soft, hard;

	snprintf(file, sizeof file, "/proc/%d/limits", (int)pid);
	CHECK_EQ(file_read(file, 65536, &text, NULL, NULL), 0);
	const char *line = strstr(text, name);
	CHECK(line && sscanf(line + strlen(name), " %lu %lu", &soft, &hard) == 2);
	CHECK_EQ(soft, want);
	CHECK_EQ(hard, want);
}

static void check_limits(pid_t pid)
{
	expect_status(pid, "Seccomp", "2");
	expect_status(pid, "NoNewPrivs", "1");
	expect_limit(pid, "Max core file size", 0);
}

// One item of a kernel on the `size` bytes at `a`, in a session that ends.
static void run_kernel(const char *text, const char *name, void *a, size_t size)
{
	struct testclient c;
	struct buf args = { 0 };
	struct p_arg arg = { 0, PROTO_ARG_BUFFER, 4, { 0 } };

	testclient_connect(&c, path);
	testclient_prepare(&c, text);
	SEND(&c, buffer_create, 0, .id = 4, .context = 1, .size = size);
	SEND(&c, write, 0, .queue = 2, .buffer = 4, .size = size, .bytes = BYTES(a, size));
	SEND(&c, kernel_create, 0, .id = 5, .program = 3, .name = TEXT(name));
	CHECK_EQ(p_put_arg_item(&args, &arg), 0);
	SEND(&c, launch, 0, .queue = 2, .kernel = 5, .dims = 1, .global = { { 1, 1, 1 } },
		.args = BYTES(args.data, args.len));
	uint32_t seq = SEND(&c, read, 0, .queue = 2, .buffer = 4, .size = size);
	testclient_send(&c);
	CHECK_EQ(testclient_answer(&c, seq), CL_SUCCESS);
	CHECK_EQ(c.body.len, size);
	memcpy(a, c.body.data, size);
	buf_free(&args);
	testclient_close(&c);
}

static void kernels_have_no_more_calls(void)
{
	const struct {
		long nr, a, b;
		long want; // -errno; 1: success
	} tries[8] = {
		{ SYS_socket, AF_INET, SOCK_STREAM, -EPERM },
		{ SYS_socket, AF_UNIX, SOCK_STREAM, -EPERM },
		{ SYS_ptrace, PTRACE_TRACEME, 0, -ENOSYS },
		{ SYS_unshare, 0x10000000 /* CLONE_NEWUSER */, 0, -ENOSYS },
		{ SYS_setuid, 0, 0, -ENOSYS },
		{ SYS_bpf, 0, 0, -ENOSYS },
		{ SYS_io_uring_setup, 1, 0, -ENOSYS },
		{ SYS_getpid, 0, 0, 1 },
	};
	long a[8][4] = { { 0 } };

	for (int i = 0; i < 8; i++) {
		a[i][0] = tries[i].nr;
		a[i][1] = tries[i].a;
		a[i][2] = tries[i].b;
	}
	run_kernel(source, "call", a, sizeof a);
	for (int i = 0; i < 7; i++)
		CHECK_EQ(a[i][0], tries[i].want);
	CHECK(a[7][0] > 0 && a[7][0] != SYS_getpid);
}

static void everybodys_vgpu_is_confined(const char *program)
{
	pid_t pid = testclient_start(program, NULL, path, sizeof path);

	kernels_have_no_more_calls();
	check_limits(pid);
	testclient_stop(pid, path);
}

// The folder above its cache is closed to it, as a checkout under /root is.
static void a_vms_has_its_own_user(const char *program)
{
	pid_t pid = testclient_start(program, "--user=61999", path, sizeof path);
	char cache[160];
	struct stat st;

	kernels_have_no_more_calls();
	check_limits(pid);
	expect_limit(pid, "Max processes", 1024);
	expect_limit(pid, "Max data size", 8ul << 30);
	expect_status(pid, "Uid", "61999\t61999\t61999\t61999");
	expect_status(pid, "Gid", "61999\t61999\t61999\t61999");
	expect_status(pid, "Groups", " ");
	expect_status(pid, "CapEff", "0000000000000000");
	expect_status(pid, "CapPrm", "0000000000000000");
	snprintf(cache, sizeof cache, "%.*s/cl-cache/kernels", (int)(strrchr(path, '/') - path),
		path);
	CHECK(stat(cache, &st) == 0 && st.st_uid == 61999);
	testclient_stop(pid, path);
}

static void a_vms_kernels_reach_no_file_but_its_own(const char *program)
{
	const struct {
		const char *path;
		long flags, want; // -errno; 0: a descriptor
	} tries[8] = {
		{ "/etc/passwd", O_RDONLY, -EACCES },
		{ "/proc/1/cmdline", O_RDONLY, -EACCES },
		{ "/", O_RDONLY, -EACCES },
		{ "/tmp/ferry-confine-test", O_CREAT | O_WRONLY, -EACCES },
		{ "/dev/shm/ferry-confine-test", O_CREAT | O_WRONLY, -EACCES },
		{ "..", O_RDONLY, -EACCES },
		{ "./mine", O_CREAT | O_WRONLY, 0 },
		{ "/usr", O_RDONLY, 0 },
	};
	struct {
		long flags;
		char path[56];
	} a[8] = { 0 };
	pid_t pid = testclient_start(program, "--user=61997", path, sizeof path);

	for (int i = 0; i < 8; i++) {
		a[i].flags = tries[i].flags;
		strcpy(a[i].path, tries[i].path);
	}
	run_kernel(opening, "reach", a, sizeof a);
	for (int i = 0; i < 8; i++) {
		printf("%s: %ld\n", tries[i].path, a[i].flags);
		CHECK(tries[i].want ? a[i].flags == tries[i].want : a[i].flags > 2);
	}
	testclient_stop(pid, path);
}

static unsigned processes_of(uid_t user)
{
	struct dirent *at;
	struct stat st;
	unsigned n = 0;
	DIR *d = opendir("/proc");

	CHECK(d);
	while ((at = readdir(d)))
		if (atoi(at->d_name) && fstatat(dirfd(d), at->d_name, &st, 0) == 0 &&
			st.st_uid == user)
			n++;
	closedir(d);
	return n;
}

static void what_a_kernel_leaves_behind_ends_with_it(const char *program)
{
	pid_t pid = testclient_start(program, "--user=61998", path, sizeof path);
	long a[1][4] = { { SYS_fork, SYS_poll } };

	run_kernel(leaving, "leave", a, sizeof a);
	CHECK(a[0][0] > 1);
	CHECK_EQ(processes_of(61998), 2);
	testclient_stop(pid, path);
	CHECK_EQ(processes_of(61998), 0);
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
#if !defined(__x86_64__) || SANITIZED
	printf("skipped: the filter is not in a build with sanitizers, the kernel is for x86-64\n");
	return 77;
#endif
	everybodys_vgpu_is_confined(argv[1]);
	printf("ok everybodys_vgpu_is_confined\n");
	if (geteuid() == 0) {
		a_vms_has_its_own_user(argv[1]);
		printf("ok a_vms_has_its_own_user\n");
		a_vms_kernels_reach_no_file_but_its_own(argv[1]);
		printf("ok a_vms_kernels_reach_no_file_but_its_own\n");
		what_a_kernel_leaves_behind_ends_with_it(argv[1]);
		printf("ok what_a_kernel_leaves_behind_ends_with_it\n");
	}
	return 0;
}
