// SPDX-License-Identifier: Apache-2.0
// The real ferry-vgpu with the host's driver, and hostile guests: each input is one guest's bytes after a
// well-formed beginning. Whatever comes, the process lives, and the next program is served.
//
// usage: vgpu-fuzz FERRY-VGPU RUNS CORPUS
#include "base/cleanup.h"
#include "base/file.h"
#include "base/test.h"
#include "fuzz/driver.h"
#include "vgpu/testing/testclient.h"

#include <dirent.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LISTEN_MS 10 // to what a hostile guest is told; it may be told nothing
#define EVERY     16 // inputs from one ordinary program to the next

static const char source[] =
	"kernel void k(global int *a, int b, local int *l) { l[0] = b; a[0] = l[0]; }\n"
	"kernel void images(read_only image2d_t i, sampler_t s) { }\n";
static pid_t vgpu;
static char path[128];
static unsigned inputs;

// As session_fuzz.c's, with a program that builds.
static void put_beginning(struct testclient *c)
{
	SEND(c, hello, 0, .magic = PROTO_HELLO_MAGIC, .version = PROTO_VERSION);
	SEND(c, context_create, 0, .id = 1);
	SEND(c, queue_create, 0, .id = 2, .context = 1);
	SEND(c, queue_create, 0, .id = 3, .context = 1, .properties = 1);
	SEND(c, buffer_create, 0, .id = 4, .context = 1, .size = 4096);
	SEND(c, user_event_create, 0, .id = 5, .context = 1);
	SEND(c, program_source, 0, .id = 6, .context = 1, .total = strlen(source),
		.bytes = TEXT(source));
	SEND(c, program_build, 0, .program = 6);
}

// Until the host closes or is silent.
static void listen_to(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint8_t bytes[4096];

	while (poll(&p, 1, LISTEN_MS) == 1 && recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
		;
}

static void serve_an_ordinary_program(void)
{
	static const int seven = 7;
	struct testclient c;

	testclient_connect(&c, path);
	testclient_prepare(&c, source);
	SEND(&c, buffer_create, 0, .id = 9, .context = 1, .size = sizeof seven);
	SEND(&c, write, 0, .queue = 2, .buffer = 9, .size = sizeof seven,
		.bytes = BYTES(&seven, sizeof seven));
	testclient_expect_bytes(&c, 2, 9, &seven, sizeof seven);
	testclient_close(&c);
}

static void be_hostile(const void *bytes, size_t n)
{
	struct testclient c;
	ssize_t sent = 1;

	testclient_connect(&c, path);
	put_beginning(&c);
	buf_put(&c.out, bytes, n);
	for (size_t at = 0; at < c.out.len && sent > 0; at += (size_t)sent)
		sent = send(c.fd, c.out.data + at, c.out.len - at, MSG_NOSIGNAL);
	listen_to(c.fd);
	testclient_close(&c);
	CHECK_EQ(waitpid(vgpu, NULL, WNOHANG), 0);
	if (++inputs % EVERY == 0)
		serve_an_ordinary_program();
}

static void replay(const char *folder)
{
	char file[4352];
	struct dirent *one;
	DIR *d = opendir(folder);

	CHECK(d);
	while ((one = readdir(d))) {
		_cleanup_free_ char *bytes = NULL;
		size_t n;
		if (one->d_name[0] == '.')
			continue;
		snprintf(file, sizeof file, "%.4000s/%.200s", folder, one->d_name);
		CHECK_EQ(file_read(file, 1 << 20, &bytes, &n, NULL), 0);
		be_hostile(bytes, n);
	}
	closedir(d);
	CHECK(inputs);
}

int main(int argc, char **argv)
{
	CHECK(argc == 4);
	setenv("FERRY_LOG", "error", 0);
	vgpu = testclient_start(argv[1], NULL, path, sizeof path);
	replay(argv[3]);
	srand(1);
	for (int runs = atoi(argv[2]); runs > 0; runs--) {
		_cleanup_buf_ struct buf input = { 0 };
		fuzz_make_input(&input);
		be_hostile(input.data, input.len);
	}
	serve_an_ordinary_program();
	testclient_stop(vgpu, path);
	printf("%u guests, and it serves on\n", inputs);
}
