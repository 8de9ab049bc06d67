// SPDX-License-Identifier: Apache-2.0
#include "base/process.h"
#include "base/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
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

int main(void)
{
	RUN(descriptors_land_on_their_numbers);
	RUN(a_missing_program_is_an_error_here);
	RUN(a_recorded_pid_is_only_killed_when_it_is_the_same);
}
