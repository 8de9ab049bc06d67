// SPDX-License-Identifier: Apache-2.0
// Native binaries are taken in a child of ferry-vgpu's. It may be killed at any moment, by whoever is
// short of memory, and so may ferry-vgpu while it runs: no move is lost, no process and no file stays.
#include "vgpu/backend/cl_binary.h"
#include "vgpu/testing/testhost.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/test.h"

#include <CL/cl.h>
#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 10000

static const char *program;
static const char source[] =
	"__kernel void count(__global uint *a) { a[get_global_id(0)] += 1; }\n";

// ---- processes

// A process whose parent is `parent`, 0 when there is none; how it is, as proc(5) has it.
static pid_t child_of(pid_t parent, char *ret_state)
{
	DIR *d = opendir("/proc");
	struct dirent *at;
	pid_t found = 0;

	CHECK(d);
	while (!found && (at = readdir(d)) != NULL) {
		_cleanup_free_ char *text = NULL;
		char path[300];
		int ppid = 0;
		snprintf(path, sizeof path, "/proc/%s/stat", at->d_name);
		if (at->d_name[0] < '1' || at->d_name[0] > '9' ||
			file_read(path, 4096, &text, NULL, NULL) < 0)
			continue;
		char *end = strrchr(text, ')'); // the name may hold spaces
		if (end && sscanf(end, ") %c %d", ret_state, &ppid) == 2 && ppid == parent)
			found = atoi(at->d_name);
	}
	closedir(d);
	return found;
}

// Whether it is one that takes a binary, and no longer the copy of its parent that fork(2) makes.
static bool takes_binary(pid_t pid)
{
	_cleanup_free_ char *text = NULL;
	char path[64];
	size_t n = 0;

	snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
	return file_read(path, 4096, &text, &n, NULL) == 0 &&
	       memmem(text, n, CL_BINARY_OPTION, strlen(CL_BINARY_OPTION));
}

// A descriptor of the child that takes a binary, waited for; -1 when there was none. `early`: perhaps
// of one that is still to become it.
static int open_child(pid_t parent, bool early)
{
	char state;

	for (int i = 0; i < PATIENCE_MS; i++) {
		pid_t pid = child_of(parent, &state);
		int fd = pid && (early || takes_binary(pid)) ? pidfd_open(pid, 0) : -1;
		if (fd >= 0)
			return fd;
		usleep(1000);
	}
	return -1;
}

struct killer {
	pthread_t thread;
	pid_t parent;
	useconds_t after_us;
};

static void *run_killer(void *arg)
{
	struct killer *k = arg;
	_cleanup_fd_ int child = open_child(k->parent, true);

	CHECK(child >= 0);
	usleep(k->after_us);
	pidfd_send_signal(child, SIGKILL, NULL, 0); // it may be over
	return NULL;
}

// ---- files

// How many names there are at the top of a compile cache besides its folders of two letters.
static size_t temporary_files(const struct testhost *h)
{
	char path[PATH_MAX + 16];
	struct dirent *at;
	size_t n = 0;

	snprintf(path, sizeof path, "%s/cl-cache", h->folder.path);
	DIR *d = opendir(path);
	CHECK(d);
	while ((at = readdir(d)) != NULL)
		n += at->d_name[0] != '.' && strlen(at->d_name) != 2;
	closedir(d);
	return n;
}

// ---- the guest

struct run {
	struct testhost host;
	struct testclient c;
	uint32_t launches;
};

static void begin(struct run *r)
{
	uint32_t zero = 0;

	*r = (struct run){ 0 };
	testhost_start(&r->host, program, false, "auto");
	r->c = (struct testclient){ .fd = r->host.port };
	testclient_prepare(&r->c, source);
	SEND(&r->c, buffer_create, 0, .id = 4, .context = 1, .size = 4096);
	SEND(&r->c, kernel_create, 0, .id = 5, .program = 3, .name = TEXT("count"));
	SEND(&r->c, fill, 0, .queue = 2, .buffer = 4, .size = 4096, .pattern = BYTES(&zero, 4));
}

// A launch with a local size that the driver has not compiled for; its result.
static void launch(struct run *r)
{
	_cleanup_buf_ struct buf args = { 0 };
	struct p_arg item = { 0, PROTO_ARG_BUFFER, 4, { 0 } };
	uint64_t size = ++r->launches;

	CHECK_EQ(p_put_arg_item(&args, &item), 0);
	SEND(&r->c, launch, 0, .queue = 2, .kernel = 5, .dims = 1, .global = { { size, 1, 1 } },
		.local = { { size, 1, 1 } }, .args = BYTES(args.data, args.len));
	uint32_t seq = SEND(&r->c, read, 0, .queue = 2, .buffer = 4, .size = 4);
	testclient_send(&r->c);
	CHECK_EQ(testclient_answer(&r->c, seq), CL_SUCCESS);
	CHECK_EQ(*(uint32_t *)r->c.body.data, r->launches);
}

static void end(struct run *r)
{
	testhost_stop(&r->host);
	testclient_close(&r->c);
}

// A move that goes nowhere; the other end of its channel.
static int begin_move(struct run *r)
{
	int pair[2];

	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	json_decref(testhost_call(&r->host, "move.begin",
		json_pack("{s:s, s:i, s:i, s:b}", "mode", "precopy", "channels", 1,
			"bandwidth_bytes_per_s", 0, "binaries", 1),
		&pair[0], 1));
	close(pair[0]);
	return pair[1];
}

// Asks for the program's binary, and stops the child that takes it before it is done: a descriptor
// of it.
static int stop_child(struct run *r, uint32_t *ret_seq)
{
	for (int i = 0; i < 20; i++) {
		*ret_seq = SEND(&r->c, program_query_binary, 0, .program = 3);
		testclient_send(&r->c);
		int child = open_child(r->host.pid, false);
		struct pollfd p = { .fd = child, .events = POLLIN };
		CHECK(child >= 0);
		if (pidfd_send_signal(child, SIGSTOP, NULL, 0) == 0 && poll(&p, 1, 100) == 0)
			return child;
		close(child); // too late: this machine is busy
		CHECK_EQ(testclient_answer(&r->c, *ret_seq), CL_SUCCESS);
	}
	CHECK(!"a child was caught");
	return -1;
}

// ---- tests

static void a_child_that_is_killed_is_no_loss(void)
{
	static const useconds_t after_us[] = { 0, 1000, 5000, 20000, 50000, 100000, 200000 };
	struct run r;
	struct testhost to;
	char state;

	begin(&r);
	launch(&r);
	size_t before = temporary_files(&r.host);
	for (size_t i = 0; i < ARRAY_SIZE(after_us); i++) {
		struct killer k = { .parent = r.host.pid, .after_us = after_us[i] };
		CHECK_EQ(pthread_create(&k.thread, NULL, run_killer, &k), 0);
		int other = begin_move(&r);
		pthread_join(k.thread, NULL);
		CHECK_EQ(child_of(r.host.pid, &state), 0);
		CHECK_EQ(temporary_files(&r.host), before);
		testhost_do(&r.host, "move.abort", NULL);
		close(other);
		launch(&r);
	}
	testhost_start(&to, program, true, "auto");
	testhost_precopy(&r.host, &to, 1, NULL, NULL);
	testhost_switch(&r.host, &to);
	r.c.fd = to.port;
	testhost_stop(&r.host);
	close(r.host.port);
	r.host = to;
	launch(&r);
	end(&r);
}

// A guest that asks for a binary hears that there is none, and may ask again.
static void a_guest_hears_that_the_child_was_killed(void)
{
	struct run r;

	begin(&r);
	launch(&r);
	uint32_t seq;
	_cleanup_fd_ int child = stop_child(&r, &seq);
	CHECK_EQ(pidfd_send_signal(child, SIGKILL, NULL, 0), 0);
	CHECK_EQ(testclient_answer(&r.c, seq), CL_INVALID_PROGRAM_EXECUTABLE);
	seq = SEND(&r.c, program_query_binary, 0, .program = 3);
	testclient_send(&r.c);
	CHECK_EQ(testclient_answer(&r.c, seq), CL_SUCCESS);
	CHECK(r.c.body.len > 0);
	end(&r);
}

static void the_child_does_not_outlive_its_parent(void)
{
	struct run r;

	begin(&r);
	launch(&r);
	uint32_t seq;
	_cleanup_fd_ int child = stop_child(&r, &seq); // it cannot end by itself
	struct pollfd p = { .fd = child, .events = POLLIN };
	end(&r);
	CHECK_EQ(poll(&p, 1, PATIENCE_MS), 1);
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	program = argv[1];
	RUN(a_child_that_is_killed_is_no_loss);
	RUN(a_guest_hears_that_the_child_was_killed);
	RUN(the_child_does_not_outlive_its_parent);
}
