// SPDX-License-Identifier: Apache-2.0
// Runs an unmodified program through the guest library while its vGPU moves between two ferry-vgpu
// processes again and again, its standard streams left alone. This program stands in for QEMU: it
// carries bytes between the program's socket and the vGPU's port, and stops for the switch. The exit
// status is the program's; the last line on standard error says how often the vGPU moved. SIGINT and
// SIGTERM end it between two switches.
//
// LOCAL_MOVE_SWITCHES=N: after so many switches the program gets SIGTERM; every five seconds a line on
// standard error says how far it is. LOCAL_MOVE_FLAT=1: fails when switches leave anything behind.
//
// usage: local-move FERRY-VGPU LIBFERRY-CL TRACKER MEBIBYTES PAUSE-MS PROGRAM [ARGUMENT...]
#include "flat.h"
#include "vgpu/testing/testhost.h"

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

// One direction of the wire between the program and the port.
struct wire {
	pthread_mutex_t *running; // held while bytes are in here; the switch holds it too
	int *from, *to;
	atomic_bool *done;
};

static pthread_mutex_t out_running = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t in_running = PTHREAD_MUTEX_INITIALIZER;
static int guest = -1, port = -1;
static atomic_bool done;
static sigset_t ends; // blocked: taken between two switches

// False when there was nothing to carry.
static bool carry(struct wire *w)
{
	static _Thread_local uint8_t bytes[65536];

	pthread_mutex_lock(w->running);
	ssize_t n = recv(*w->from, bytes, sizeof bytes, MSG_DONTWAIT);
	for (ssize_t at = 0; at < n;) {
		ssize_t sent = send(*w->to, bytes + at, (size_t)(n - at), MSG_NOSIGNAL);
		if (sent <= 0)
			break; // the program has ended
		at += sent;
	}
	pthread_mutex_unlock(w->running);
	if (n == 0)
		atomic_store(&done, true);
	return n > 0;
}

static void *run_wire(void *arg)
{
	struct wire *w = arg;

	while (!atomic_load(&done)) {
		struct pollfd p = { .fd = *w->from, .events = POLLIN };
		poll(&p, 1, 2);
		while (!atomic_load(&done) && carry(w))
			;
	}
	return NULL;
}

// What every ferry-vgpu of this run is started with.
static struct {
	const char *program, *tracker;
	uint64_t memory;
} vgpu;

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

	testhost_start_sized(&to, vgpu.program, true, vgpu.tracker, vgpu.memory);
	testhost_precopy(host, &to, rounds, between, NULL);
	pthread_mutex_lock(&out_running);
	pthread_mutex_lock(&in_running);
	testhost_switch(host, &to);
	close(port);
	port = to.port;
	pthread_mutex_unlock(&in_running);
	pthread_mutex_unlock(&out_running);
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

// The program's connection; -1 when it ends without one.
static int accept_program(int listen_fd, pid_t pid, int *ret_status)
{
	struct pollfd p = { .fd = listen_fd, .events = POLLIN };

	while (poll(&p, 1, 50) == 0)
		if (waitpid(pid, ret_status, WNOHANG) == pid)
			return -1;
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	CHECK(fd >= 0);
	return fd;
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
		if (!atomic_load(&done) && (!most || moves < most)) {
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

// Between the program and the vGPU until the program has ended.
static int carry_and_move(struct testhost *host, pid_t pid, unsigned pause_ms, int *ret_status)
{
	struct wire out = { &out_running, &guest, &port, &done };
	struct wire in = { &in_running, &port, &guest, &done };
	const char *most = getenv("LOCAL_MOVE_SWITCHES");
	pthread_t threads[2];

	CHECK_EQ(pthread_create(&threads[0], NULL, run_wire, &out), 0);
	CHECK_EQ(pthread_create(&threads[1], NULL, run_wire, &in), 0);
	int moves = move_until_end(host, pid, pause_ms, most ? atoi(most) : 0, ret_status);
	atomic_store(&done, true);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	return moves;
}

int main(int argc, char **argv)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	struct temporary folder;
	struct testhost host;
	char socket_path[PATH_MAX + 8];
	int status = 0, moves = 0;

	CHECK(argc >= 7);
	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	vgpu.program = argv[1];
	vgpu.tracker = argv[3];
	vgpu.memory = (uint64_t)atoi(argv[4]) << 20;
	testhost_start_sized(&host, vgpu.program, false, vgpu.tracker, vgpu.memory);
	port = host.port;
	CHECK_EQ(temporary_make(&folder, "/tmp", "ferry-local-move-", &e), 0);
	write_icd(folder.path, argv[2]);
	snprintf(socket_path, sizeof socket_path, "%s/wire", folder.path);
	int listen_fd = unix_listen(socket_path, &e);
	CHECK(listen_fd >= 0);

	pid_t pid = run_program(argv + 6, folder.path, socket_path);
	guest = accept_program(listen_fd, pid, &status);
	if (guest >= 0)
		moves = carry_and_move(&host, pid, (unsigned)atoi(argv[5]), &status);
	testhost_stop(&host);
	temporary_remove(&folder);
	bool flat = !getenv("LOCAL_MOVE_FLAT") || flat_check();
	fprintf(stderr, "%d moves\n", moves);
	if (!flat)
		return 1;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
