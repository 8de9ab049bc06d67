// SPDX-License-Identifier: Apache-2.0
// An unmodified program through the guest library, while its vGPU moves between two ferry-vgpu
// processes again and again. Its result must be that of a run without a move, with the host's own
// OpenCL. This program stands in for QEMU: it carries bytes between the program's socket and the
// vGPU's port, and stops for the switch.
//
// usage: local-move FERRY-VGPU LIBFERRY-CL PROGRAM TRACKER ROUNDS
#include "vgpu/testing/testhost.h"

#include "base/file.h"
#include "base/process.h"
#include "base/socket.h"
#include "base/test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
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

static pid_t run_program(const char *program, const char *rounds, const char *const *env, int out)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	struct process_spec spec = {
		.argv = (const char *[]){ program, rounds, NULL }, .env = env, .log_fd = out
	};
	pid_t pid;

	CHECK_EQ(process_start(&spec, &pid, &e), 0);
	return pid;
}

static void read_result(int fd, char *ret, size_t size)
{
	ssize_t n = pread(fd, ret, size - 1, 0);

	CHECK(n > 0);
	ret[n] = 0;
}

static int scratch_file(const char *folder, const char *name)
{
	char path[128];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	return fd;
}

static void between(void *arg)
{
	usleep(30000);
}

static void move_once(struct testhost *host, const char *vgpu, const char *tracker, int rounds)
{
	struct testhost to;

	testhost_start(&to, vgpu, true, tracker);
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

static void write_icd(const char *folder, const char *library, char *ret_env, size_t size)
{
	int fd = scratch_file(folder, "ferry.icd");

	CHECK(write(fd, library, strlen(library)) == (ssize_t)strlen(library));
	close(fd);
	snprintf(ret_env, size, "OCL_ICD_VENDORS=%s", folder);
}

static int accept_program(int listen_fd)
{
	struct pollfd p = { .fd = listen_fd, .events = POLLIN };

	CHECK(poll(&p, 1, 20000) == 1);
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	CHECK(fd >= 0);
	return fd;
}

int main(int argc, char **argv)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	struct testhost host;
	char icd[160], socket_path[96], wire_env[128], expected[64], got[64], folder[64];
	int status, moves = 0;

	CHECK(argc == 6);
	testhost_start(&host, argv[1], false, argv[4]);
	port = host.port;
	snprintf(folder, sizeof folder, "/tmp/ferry-local-move-XXXXXX");
	CHECK(mkdtemp(folder));
	int native_out = scratch_file(folder, "native"), moved_out = scratch_file(folder, "moved");

	waitpid(run_program(argv[3], argv[5], NULL, native_out), &status, 0);
	CHECK_EQ(status, 0);
	read_result(native_out, expected, sizeof expected);

	write_icd(folder, argv[2], icd, sizeof icd);
	snprintf(socket_path, sizeof socket_path, "%s/wire", folder);
	snprintf(wire_env, sizeof wire_env, "FERRY_VGPU=unix:%s", socket_path);
	int listen_fd = unix_listen(socket_path, &e);
	CHECK(listen_fd >= 0);
	pid_t pid =
		run_program(argv[3], argv[5], (const char *[]){ icd, wire_env, NULL }, moved_out);
	guest = accept_program(listen_fd);
	struct wire out = { &out_running, &guest, &port, &done };
	struct wire in = { &in_running, &port, &guest, &done };
	pthread_t threads[2];
	CHECK_EQ(pthread_create(&threads[0], NULL, run_wire, &out), 0);
	CHECK_EQ(pthread_create(&threads[1], NULL, run_wire, &in), 0);

	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (!atomic_load(&done))
			move_once(&host, argv[1], argv[4], moves % 4);
		moves++;
		usleep(100000);
	}
	CHECK_EQ(status, 0);
	atomic_store(&done, true);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	testhost_stop(&host);
	read_result(moved_out, got, sizeof got);
	printf("%d moves; native %.16s, moved %.16s\n", moves, expected, got);
	CHECK_STR(got, expected);
	CHECK(moves >= 2);
	path_remove(folder, &e);
}
