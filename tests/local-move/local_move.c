// SPDX-License-Identifier: Apache-2.0
// Runs an unmodified program, and what it starts, through the guest library while its vGPU moves between two
// ferry-vgpu processes again and again, its standard streams left alone. This program stands in for QEMU: it
// carries bytes between the programs' sockets and the vGPU's ports, and stops for the switch. The exit
// status is the program's; the last line on standard error says how often the vGPU moved. SIGINT and
// SIGTERM end it between two switches.
//
// LOCAL_MOVE_SWITCHES=N: after so many switches the program gets SIGTERM; every five seconds a line on
// standard error says how far it is. LOCAL_MOVE_FLAT=1: fails when switches leave anything behind.
//
// usage: local-move FERRY-VGPU LIBFERRY-CL TRACKER MEBIBYTES PAUSE-MS PROGRAM [ARGUMENT...]
#include "connections.h"
#include "flat.h"

#include "base/clock.h"
#include "base/process.h"
#include "base/socket.h"
#include "base/temporary.h"
#include "base/test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static sigset_t ends; // blocked: taken between two switches

// What every ferry-vgpu of this run is started with.
static struct {
	const char *program, *tracker;
	uint64_t memory;
} vgpu;

static void start_vgpu(struct testhost *host, bool incoming)
{
	testhost_start_sized(
		host, vgpu.program, incoming, vgpu.tracker, vgpu.memory, CONNECTIONS_MAX);
}

static pid_t run_program(char **argv, const char *folder, const char *socket_path)
{
	char where[PATH_MAX + 16];
	pid_t parent = getpid(), pid = fork();

	CHECK(pid >= 0);
	if (pid)
		return pid;
	if (process_tie(parent) < 0)
		_exit(127);
	sigprocmask(SIG_UNBLOCK, &ends, NULL);
	snprintf(where, sizeof where, "unix:%s", socket_path);
	setenv("OCL_ICD_VENDORS", folder, 1);
	setenv("FERRY_VGPU", where, 1);
	execvp(argv[0], argv);
	fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static void between(void *arg)
{
	usleep(30000);
}

static void move_once(struct testhost *host, int rounds)
{
	struct testhost to;

	start_vgpu(&to, true);
	testhost_precopy(host, &to, rounds, between, NULL);
	connections_hold();
	testhost_switch(host, &to);
	connections_resume(&to);
	testhost_stop(host);
	*host = to;
}

static void write_icd(const char *folder, const char *library)
{
	char path[PATH_MAX + 16];

	snprintf(path, sizeof path, "%s/ferry.icd", folder);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	CHECK(write(fd, library, strlen(library)) == (ssize_t)strlen(library));
	close(fd);
}

// The pause between two switches; the signal that asks for an end meanwhile, or 0.
static int pause_or_end(unsigned ms)
{
	const struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * NSEC_PER_MSEC };
	int signo = sigtimedwait(&ends, NULL, &t);

	return signo < 0 ? 0 : signo;
}

// Moves the vGPU until the program has ended; how often. The program ends after `most` switches (0: when
// it likes), or killed when this one is asked to end.
static int move_until_end(
	struct testhost *host, pid_t pid, unsigned pause_ms, int most, int *ret_status)
{
	int moves = 0;

	while (waitpid(pid, ret_status, WNOHANG) == 0) {
		connections_settle(host);
		if (connections_any() && (!most || moves < most)) {
			move_once(host, moves % 4);
			moves++;
			flat_note(pid, host->pid);
			if (moves == most)
				kill(pid, SIGTERM);
		}
		if (most)
			flat_say(moves, most);
		if (pause_or_end(pause_ms))
			kill(pid, SIGKILL);
	}
	return moves;
}

int main(int argc, char **argv)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	struct temporary folder;
	struct testhost host;
	char socket_path[PATH_MAX + 8];
	const char *most = getenv("LOCAL_MOVE_SWITCHES");
	int status = 0;

	CHECK(argc >= 7);
	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	vgpu.program = argv[1];
	vgpu.tracker = argv[3];
	vgpu.memory = (uint64_t)atoi(argv[4]) << 20;
	start_vgpu(&host, false);
	CHECK_EQ(temporary_make(&folder, "/tmp", "ferry-local-move-", &e), 0);
	write_icd(folder.path, argv[2]);
	snprintf(socket_path, sizeof socket_path, "%s/wire", folder.path);
	int listen_fd = unix_listen(socket_path, &e);
	CHECK(listen_fd >= 0);
	connections_begin(listen_fd, &host);
	pid_t pid = run_program(argv + 6, folder.path, socket_path);
	int moves =
		move_until_end(&host, pid, (unsigned)atoi(argv[5]), most ? atoi(most) : 0, &status);
	connections_end();
	testhost_stop(&host);
	temporary_remove(&folder);
	bool flat = !getenv("LOCAL_MOVE_FLAT") || flat_check();
	fprintf(stderr, "%d moves\n", moves);
	if (!flat)
		return 1;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
