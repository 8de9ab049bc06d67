// SPDX-License-Identifier: Apache-2.0
// `ferry run`: a private ferry-vgpu in a temporary folder for the life of one program.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/cores.h"
#include "base/file.h"
#include "base/process.h"
#include "base/socket.h"
#include "base/temporary.h"
#include "cli/cli.h"
#include "vgpu/profile.h"

#define START_TIMEOUT_NS (20 * NSEC_PER_SEC) // the OpenCL driver's first start is slow

#define LOG_LINES 3

struct session {
	struct temporary folder;
	pid_t vgpu;         // 0: not running
	struct cores cores; // of a partitioned profile
};

// Programs lie beside this one when installed, and in sibling folders in the build tree.
static int find_beside(const char *name, const char *build_folder, char ret[PATH_MAX])
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	if (n < 0)
		return -errno;
	self[n] = 0;
	*strrchr(self, '/') = 0;
	snprintf(ret, PATH_MAX, "%.2000s/%s", self, name);
	if (access(ret, R_OK) == 0)
		return 0;
	snprintf(ret, PATH_MAX, "%.2000s/../%s/%s", self, build_folder, name);
	if (access(ret, R_OK) == 0)
		return 0;
	snprintf(ret, PATH_MAX, "%.2000s/../lib/ferry/%s", self, name);
	return access(ret, R_OK) == 0 ? 0 : -ENOENT;
}

// The path of something in the session's folder, which is short: cmd_run() sees to that.
static const char *inside(const struct session *s, const char *name, char ret[PATH_MAX])
{
	snprintf(ret, PATH_MAX, "%.2000s/%s", s->folder.path, name);
	return ret;
}

// The OpenCL loader's list of drivers: one file that names our library.
static int write_vendor(const struct session *s, const char *library, struct ferry_error *e)
{
	char path[PATH_MAX], full[PATH_MAX];

	if (mkdir(inside(s, "vendors", path), 0755) < 0 || !realpath(library, full))
		return ferry_fail(e, errno, "file", "cannot use %s: %m", library);
	return file_write_durable(inside(s, "vendors/ferry.icd", path), full, strlen(full), e);
}

// Processors of its own for a part of the device: as many as it has compute units.
static int take_cores(struct session *s, const struct profile *p, struct ferry_error *e)
{
	cpu_set_t mine, all;
	int r = cores_allowed(&mine, &all);

	if (r < 0)
		return ferry_fail(e, -r, "processors",
			"cannot find out which processors this program may use: %s", strerror(-r));
	unsigned units = (unsigned)CPU_COUNT(&all), count = p->slices * units / PROFILE_SLICES;
	if (!count) {
		ferry_fail(e, ENODEV, "no-units",
			"this host has %u compute units: %u of %u slices hold none", units,
			p->slices, PROFILE_SLICES);
		ferry_error_remedy(e, "choose a profile with more slices, or a larger host");
		return -ENODEV;
	}
	r = cores_take(&s->cores, count, &mine);
	if (r < 0) {
		ferry_fail(e, EBUSY, "no-slices",
			"of the %d processors that this program may use, not %u are free for %s",
			CPU_COUNT(&mine), count, p->name);
		ferry_error_remedy(e,
			"end another `ferry run` of a partitioned profile, allow more processors "
			"(taskset), or choose a time-sliced profile");
	}
	return r;
}

static int start_vgpu(
	struct session *s, const char *program, const struct profile *p, struct ferry_error *e)
{
	char control[PATH_MAX], serve[PATH_MAX], log[PATH_MAX], folder[PATH_MAX];
	char memory[24], slices[24], cache[PATH_MAX + 16];

	snprintf(memory, sizeof memory, "%llu", (unsigned long long)p->framebuffer_bytes);
	snprintf(slices, sizeof slices, "0:%u", p->slices);
	snprintf(cache, sizeof cache, "POCL_CACHE_DIR=%s", inside(s, "cl-cache", folder));
	const char *argv[] = { program, "--control", inside(s, "control.sock", control),
		"--profile", p->name, "--memory", memory, "--serve", inside(s, "vgpu.sock", serve),
		"--share-memory", p->slices ? "--slices" : NULL, slices, NULL };
	// A user's own cache, where there is one, spares the compiler; else it goes with the session.
	const char *env[3], **more = env;
	if (!getenv("POCL_CACHE_DIR"))
		*more++ = cache;
	if (p->slices)
		*more++ = "POCL_AFFINITY=0"; // the first processors, whatever we say
	*more = NULL;
	_cleanup_fd_ int log_fd =
		open(inside(s, "vgpu.log", log), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	struct process_spec spec = { .argv = argv,
		.env = env,
		.log_fd = log_fd,
		.processors = p->slices ? &s->cores.set : NULL,
		.detached = true,
		.tied = true };

	return process_start(&spec, &s->vgpu, e);
}

// Its last lines.
static void print_log(const struct session *s, int lines)
{
	_cleanup_free_ char *text = NULL;
	char path[PATH_MAX];

	if (file_read(inside(s, "vgpu.log", path), 1 << 20, &text, NULL, NULL) < 0)
		return;
	const char *at = text + strlen(text);
	while (at > text && (at[-1] != '\n' || !at[0] || --lines > 0))
		at--;
	fputs(at, stderr);
}

// The program's OpenCL calls fail from then on.
static void report_end(struct session *s, int status)
{
	char how[80];

	s->vgpu = 0;
	process_describe_end(status, how, sizeof how);
	fprintf(stderr,
		"ferry: the vGPU ended (%s): kernels run inside it, and so does their compiler; "
		"the program's calls return CL_DEVICE_NOT_AVAILABLE\n",
		how);
	print_log(s, LOG_LINES);
}

static void check_vgpu(struct session *s)
{
	int status;

	if (s->vgpu > 0 && waitpid(s->vgpu, &status, WNOHANG) == s->vgpu)
		report_end(s, status);
}

static int wait_for_socket(struct session *s, struct ferry_error *e)
{
	int64_t deadline = clock_now_ns() + START_TIMEOUT_NS;
	char path[PATH_MAX];
	int status;

	inside(s, "vgpu.sock", path);
	for (;;) {
		if (access(path, F_OK) == 0) {
			_cleanup_fd_ int fd = unix_connect(path, NULL);
			if (fd >= 0)
				return 0;
		}
		if (waitpid(s->vgpu, &status, WNOHANG) == s->vgpu) {
			s->vgpu = 0;
			print_log(s, INT_MAX);
			return ferry_fail(
				e, ECHILD, "process-ended", "ferry-vgpu ended at its start");
		}
		if (clock_now_ns() > deadline)
			return ferry_fail(
				e, ETIMEDOUT, "vgpu-silent", "ferry-vgpu does not answer");
		usleep(20000);
	}
}

static void end_session(struct session *s)
{
	int status = 0;

	if (s->vgpu > 0) {
		kill(s->vgpu, SIGTERM);
		for (int i = 0; i < 100 && waitpid(s->vgpu, &status, WNOHANG) == 0; i++) {
			usleep(20000);
			if (i == 99) {
				kill(s->vgpu, SIGKILL);
				waitpid(s->vgpu, &status, 0);
				status = 0;
			}
		}
		if (status)
			report_end(s, status); // it was ending already
	}
	temporary_remove(&s->folder);
}

// The program gets the terminal's standard streams; process_start() would take them away.
static pid_t start_program(const struct session *s, char **argv, const sigset_t *before)
{
	char path[PATH_MAX], vgpu[PATH_MAX + 8];
	pid_t pid = fork();

	if (pid)
		return pid;
	setenv("OCL_ICD_VENDORS", inside(s, "vendors", path), 1);
	snprintf(vgpu, sizeof vgpu, "unix:%s", inside(s, "vgpu.sock", path));
	setenv("FERRY_VGPU", vgpu, 1);
	sigprocmask(SIG_SETMASK, before, NULL);
	execvp(argv[0], argv);
	fprintf(stderr, "ferry: cannot execute %s: %s\n", argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

// Passes signals on until the program has ended; its exit status, or 128 + the signal's number.
static int wait_program(struct session *s, pid_t pid, int signals)
{
	struct signalfd_siginfo info;
	int status;

	while (read(signals, &info, sizeof info) == sizeof info) {
		if (info.ssi_signo == SIGCHLD) {
			check_vgpu(s);
			if (waitpid(pid, &status, WNOHANG) == pid)
				return WIFSIGNALED(status) ? 128 + WTERMSIG(status)
							   : WEXITSTATUS(status);
		} else if (info.ssi_code != SI_KERNEL) { // else the terminal sent it to both
			kill(pid, (int)info.ssi_signo);
		}
	}
	return EXIT_FAILED;
}

static int run_all(struct cli *c, struct session *s, const struct profile *p, char **argv,
	const sigset_t *before, int signals)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	char vgpu[PATH_MAX], library[PATH_MAX];
	int r = 0;

	if (find_beside("ferry-vgpu", "vgpu", vgpu) < 0 ||
		find_beside("libferry-cl.so", "guest", library) < 0) {
		r = ferry_fail(&e, ENOENT, "not-installed",
			"ferry-vgpu or libferry-cl.so is not beside this program");
		ferry_error_remedy(&e, "build or install Ferry completely");
	}
	if (r == 0)
		r = write_vendor(s, library, &e);
	if (r == 0)
		r = start_vgpu(s, vgpu, p, &e);
	if (r == 0)
		r = wait_for_socket(s, &e);
	if (r < 0)
		return cli_error(c, &e, EXIT_FAILED);
	pid_t pid = start_program(s, argv, before);
	return pid > 0 ? wait_program(s, pid, signals) : EXIT_FAILED;
}

int cmd_run(struct cli *c, int argc, char **argv)
{
	const char *name = NULL, *tmp = getenv("TMPDIR");
	const struct cli_option options[] = { { "profile", &name, NULL }, { 0 } };
	struct ferry_error e = FERRY_ERROR_INIT;
	struct session s = { 0 };
	struct cli_args a;
	sigset_t set, before;

	if (cli_parse(c, "run", argc, argv, options, 0, 0, &a) < 0)
		return EXIT_USAGE;
	if (!name || !a.rest || !a.rest[0])
		return cli_usage("run",
			!name ? "--profile is missing" : "the program is missing: -- CMD...");
	const struct profile *p = profile_find(name, &e);
	if (p && !p->framebuffer_bytes)
		return cli_usage("run", "profile %s has no vGPU of Ferry's", p->name);
	if (!p)
		return cli_error(c, &e, EXIT_USAGE);
	if (p->slices && take_cores(&s, p, &e) < 0)
		return cli_error(c, &e, EXIT_REFUSED);
	if (!tmp || strlen(tmp) > 40)
		tmp = "/tmp"; // socket paths must stay short
	sigemptyset(&set);
	for (const int *n = (const int[]){ SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1,
		     SIGUSR2, 0 };
		*n; n++)
		sigaddset(&set, *n);
	sigprocmask(SIG_BLOCK, &set, &before);
	_cleanup_fd_ int signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (signals < 0)
		ferry_fail(&e, errno, "signals", "cannot watch for signals: %m");
	if (signals < 0 || temporary_make(&s.folder, tmp, "ferry-run.", &e) < 0)
		return cli_error(c, &e, EXIT_FAILED);
	int exit = run_all(c, &s, p, a.rest, &before, signals);
	end_session(&s);
	cores_release(&s.cores);
	return exit;
}
