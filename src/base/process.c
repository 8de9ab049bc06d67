// SPDX-License-Identifier: Apache-2.0
#include "base/process.h"
#include "base/cleanup.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_FDS 256

// After fork(2): tells the parent errno through the close-on-exec pipe and ends.
static _Noreturn void child_failed(int report)
{
	int why = errno;

	if (write(report, &why, sizeof why) < 0)
		_exit(126);
	_exit(127);
}

// Moves the descriptors to their numbers in two steps, so that no target overwrites a source.
static int place_fds(const struct process_spec *spec, int first_free)
{
	int high[MAX_FDS];

	for (size_t i = 0; i < spec->n_fds; i++) {
		high[i] = fcntl(spec->fds[i].fd, F_DUPFD_CLOEXEC, first_free);
		if (high[i] < 0)
			return -1;
	}
	for (size_t i = 0; i < spec->n_fds; i++)
		if (dup2(high[i], spec->fds[i].as) < 0)
			return -1;
	return 0;
}

int process_tie(pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -errno;
	return getppid() == parent ? 0 : -ESRCH; // it may have ended before the call above
}

static _Noreturn void run_child(const struct process_spec *spec, int report, pid_t parent)
{
	int highest = 2;
	sigset_t none;

	for (size_t i = 0; i < spec->n_fds; i++)
		if (spec->fds[i].as > highest)
			highest = spec->fds[i].as;
	report = fcntl(report, F_DUPFD_CLOEXEC, highest + 1);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int log = spec->log_fd >= 0 ? fcntl(spec->log_fd, F_DUPFD_CLOEXEC, highest + 1) : null;

	if (report < 0 || null < 0 || log < 0 || place_fds(spec, highest + 1) < 0)
		child_failed(report);
	if (dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
		child_failed(report);
	if (spec->processors &&
		sched_setaffinity(0, sizeof *spec->processors, spec->processors) < 0)
		child_failed(report);
	if (spec->detached && setsid() < 0)
		child_failed(report);
	int tied = spec->tied ? process_tie(parent) : 0;
	if (tied < 0) {
		errno = -tied;
		child_failed(report);
	}
	if (spec->cwd && chdir(spec->cwd) < 0)
		child_failed(report);
	for (const char *const *env = spec->env; env && *env; env++)
		putenv((char *)*env);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	execvp(spec->argv[0], (char *const *)spec->argv);
	child_failed(report);
}

// clone(2) without a stack of its own is fork(2).
static pid_t fork_as(bool init)
{
	return init ? (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL)
		    : fork();
}

int process_start(const struct process_spec *spec, pid_t *ret_pid, struct ferry_error *e)
{
	int pipefd[2], why = 0;

	if (spec->n_fds > MAX_FDS)
		return ferry_fail(
			e, E2BIG, "process", "too many descriptors for %s", spec->argv[0]);
	if (pipe2(pipefd, O_CLOEXEC) < 0)
		return ferry_fail(e, errno, "process", "cannot start %s: %m", spec->argv[0]);
	pid_t parent = getpid(), pid = fork_as(spec->init);
	if (pid == 0)
		run_child(spec, pipefd[1], parent);
	close(pipefd[1]);
	if (pid < 0) {
		close(pipefd[0]);
		return ferry_fail(e, errno, "process", "cannot start %s: %m", spec->argv[0]);
	}
	ssize_t n = read(pipefd[0], &why, sizeof why);
	close(pipefd[0]);
	if (n == sizeof why) {
		waitpid(pid, NULL, 0);
		return ferry_fail(
			e, why, "process", "cannot execute %s: %s", spec->argv[0], strerror(why));
	}
	*ret_pid = pid;
	return 0;
}

int process_run(const struct process_spec *spec, int *ret_status, struct ferry_error *e)
{
	struct process_spec tied = *spec;
	pid_t pid;

	tied.tied = true;
	int r = process_start(&tied, &pid, e);
	if (r < 0)
		return r;
	while (waitpid(pid, ret_status, 0) < 0)
		if (errno != EINTR)
			return ferry_fail(
				e, errno, "process", "cannot wait for %s: %m", spec->argv[0]);
	return 0;
}

void process_describe_end(int status, char *ret, size_t size)
{
	if (status == -1)
		snprintf(ret, size, "status unknown");
	else if (WIFSIGNALED(status))
		snprintf(ret, size, "signal %d, %s", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(ret, size, "exit status %d", WEXITSTATUS(status));
}

uint64_t process_start_time(pid_t pid)
{
	char path[64];
	_cleanup_free_ char *text = NULL;
	uint64_t start = 0;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	if (file_read(path, 4096, &text, NULL, NULL) < 0)
		return 0;
	// The name (field 2) may hold spaces; fields count from the last ')'. Field 22 is 19
	// further.
	char *at = strrchr(text, ')');
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (at)
		sscanf(at, " %" SCNu64, &start);
	return start;
}

int process_kill(pid_t pid, uint64_t start_time, int signo)
{
	if (pid <= 1 || !start_time || process_start_time(pid) != start_time)
		return -ESRCH;
	return kill(pid, signo) < 0 ? -errno : 0;
}
