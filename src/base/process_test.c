// SPDX-License-Identifier: Apache-2.0
#include "base/process.h"
#include "base/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void descriptors_land_on_their_numbers(void)
{
	int a[2], b[2], status;
	char text[3] = "";
	CHECK(pipe2(a, O_CLOEXEC) == 0 && pipe2(b, O_CLOEXEC) == 0);
	// Crossed on purpose: each wants the number that the other has.
	struct process_fd fds[] = { { a[1], b[1] }, { b[1], a[1] } };
	char script[64];
	snprintf(script, sizeof script, "printf B >&%d; printf A >&%d", a[1], b[1]);
	const char *argv[] = { "bash", "-c", script, NULL };
	struct process_spec spec = { .argv = argv, .log_fd = -1, .fds = fds, .n_fds = 2 };

	CHECK_EQ(process_run(&spec, &status, NULL), 0);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CHECK(read(a[0], text, 1) == 1 && text[0] == 'A');
	CHECK(read(b[0], text, 1) == 1 && text[0] == 'B');
}

static void a_missing_program_is_an_error_here(void)
{
	const char *argv[] = { "no-such-program-here", NULL };
	struct process_spec spec = { .argv = argv, .log_fd = -1 };
	struct ferry_error e = FERRY_ERROR_INIT;
	pid_t pid;

	CHECK_EQ(process_start(&spec, &pid, &e), -ENOENT);
	CHECK(strstr(e.message, "no-such-program-here"));
}

static void a_recorded_pid_is_only_killed_when_it_is_the_same(void)
{
	const char *argv[] = { "sleep", "60", NULL };
	struct process_spec spec = { .argv = argv, .log_fd = -1, .detached = true };
	int status;
	pid_t pid;

	CHECK_EQ(process_start(&spec, &pid, NULL), 0);
	uint64_t start = process_start_time(pid);
	CHECK(start > 0);
	CHECK_EQ(process_kill(pid, start + 1, SIGKILL), -ESRCH);
	CHECK_EQ(process_kill(pid, start, SIGKILL), 0);
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
	CHECK_EQ(process_start_time(pid), 0);
}

// A starter that starts a program, tied or not, says its pid, and hangs.
static pid_t start_by_another(bool tied, pid_t *ret_starter)
{
	const char *argv[] = { "sleep", "60", NULL };
	struct process_spec spec = { .argv = argv, .log_fd = -1, .detached = true, .tied = tied };
	pid_t pid = 0;
	int fds[2];

	CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
	*ret_starter = fork();
	if (*ret_starter == 0) {
		if (process_start(&spec, &pid, NULL) == 0 &&
			write(fds[1], &pid, sizeof pid) == sizeof pid)
			pause();
		_exit(1);
	}
	close(fds[1]);
	CHECK_EQ(read(fds[0], &pid, sizeof pid), sizeof pid);
	close(fds[0]);
	return pid;
}

// Our child by now: orphans come to us.
static bool ends_within(pid_t pid, int ms)
{
	for (; ms > 0; ms -= 5) {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return true;
		usleep(5000);
	}
	return false;
}

static void a_tied_program_dies_with_its_starter(void)
{
	for (int tied = 0; tied < 2; tied++) {
		pid_t starter, pid = start_by_another(tied, &starter);
		CHECK(process_start_time(pid) > 0);
		CHECK_EQ(kill(starter, SIGKILL), 0);
		CHECK_EQ(waitpid(starter, NULL, 0), starter);
		CHECK_EQ(ends_within(pid, tied ? 2000 : 100), tied);
		if (!tied) {
			CHECK_EQ(kill(pid, SIGKILL), 0);
			CHECK(ends_within(pid, 2000));
		}
	}
}

// As when the parent ends between fork(2) and prctl(2): another is our parent then.
static void a_starter_that_has_ended_already_is_noticed(void)
{
	pid_t parent = getpid(), pid = fork();
	int status;

	if (pid == 0)
		_exit(process_tie(parent) == 0 && process_tie(parent + 1) == -ESRCH ? 0 : 1);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

// What an init leaves behind ends with it: a pipe that both have open closes.
static void an_init_takes_with_it_what_it_left_behind(void)
{
	const char *argv[] = { "sh", "-c", "sleep 60 >&3 & sleep 60", NULL };
	int fds[2];
	char byte;
	pid_t pid;

	CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
	struct process_fd fd = { fds[1], 3 };
	struct process_spec spec = {
		.argv = argv, .log_fd = -1, .fds = &fd, .n_fds = 1, .init = true
	};
	int r = process_start(&spec, &pid, NULL);
	if (geteuid() != 0 || r == -EPERM) {
		printf("not looked at: PID namespaces need root\n");
		return;
	}
	CHECK_EQ(r, 0);
	close(fds[1]);
	usleep(50000);
	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	alarm(10);
	CHECK_EQ(read(fds[0], &byte, 1), 0);
	alarm(0);
	close(fds[0]);
}

int main(void)
{
	CHECK_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	RUN(a_tied_program_dies_with_its_starter);
	RUN(a_starter_that_has_ended_already_is_noticed);
	RUN(an_init_takes_with_it_what_it_left_behind);
	RUN(descriptors_land_on_their_numbers);
	RUN(a_missing_program_is_an_error_here);
	RUN(a_recorded_pid_is_only_killed_when_it_is_the_same);
}
