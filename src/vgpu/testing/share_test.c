// SPDX-License-Identifier: Apache-2.0
// A local program that maps the vGPU's memory: what it gets, what it may not do with it, and that such a
// vGPU does not move.
#include "vgpu/testing/testhost.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/socket.h"
#include "base/test.h"

#include <CL/cl.h>
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define N 1024

static const char *program;
static char path[128];

struct shared {
	int fd;
	uint8_t *at;
	uint64_t bytes;
};

static void greet(struct testclient *c, uint16_t flags)
{
	SEND(c, hello, flags, .magic = PROTO_HELLO_MAGIC, .version = PROTO_VERSION, .pid = 1,
		.nonce = 7, .process = TEXT("share-test"));
	testclient_send(c);
}

// The host's answer to the hello and what comes with it: the descriptor, or -1.
static int receive_greeting(struct testclient *c)
{
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
	struct iovec to = { buf_reserve(&c->in, 65536), 65536 };
	struct msghdr m = { .msg_iov = &to,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof control };
	int fd = -1;
	ssize_t n = recvmsg(c->fd, &m, 0);

	CHECK(n > 0);
	c->in.len += (size_t)n;
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	if (h)
		memcpy(&fd, CMSG_DATA(h), sizeof fd);
	// Announced exactly where it comes.
	struct p_frame f = testclient_next(c);
	CHECK_EQ(f.op, p_op_hello_host);
	CHECK_EQ(f.flags, fd >= 0 ? P_SHARE : 0);
	return fd;
}

static struct shared begin(struct testclient *c)
{
	struct shared s;
	struct p_shared m;

	testclient_connect(c, path);
	greet(c, P_SHARE);
	s.fd = receive_greeting(c);
	CHECK(s.fd >= 0);
	struct p_frame f = testclient_next(c);
	CHECK_EQ(p_get_shared(&f, &m), 0);
	s.bytes = m.bytes;
	s.at = mmap(NULL, s.bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, s.fd, 0);
	CHECK(s.at != MAP_FAILED);
	SEND(c, context_create, 0, .id = 1);
	SEND(c, queue_create, 0, .id = 2, .context = 1);
	return s;
}

static void end(struct testclient *c, struct shared *s)
{
	munmap(s->at, s->bytes);
	close(s->fd);
	testclient_close(c);
}

static uint64_t new_buffer(struct testclient *c, uint32_t id)
{
	struct p_place m;
	uint32_t seq = SEND(c, buffer_create, 0, .id = id, .context = 1, .size = N * 4);

	testclient_send(c);
	struct p_frame f = testclient_next(c);
	CHECK_EQ(p_get_place(&f, &m), 0);
	CHECK_EQ(m.object, id);
	CHECK_EQ(m.stream, seq);
	return m.offset;
}

static void bytes_are_the_buffers_own(void)
{
	struct testclient c;
	struct shared s = begin(&c);
	uint64_t first = new_buffer(&c, 3), second = new_buffer(&c, 4);
	uint32_t *a = (uint32_t *)(s.at + first), *b = (uint32_t *)(s.at + second);

	CHECK(first != second && first + N * 4 <= s.bytes && second + N * 4 <= s.bytes);
	for (uint32_t i = 0; i < N; i++)
		a[i] = i;
	SEND(&c, copy, 0, .queue = 2, .from = 3, .to = 4, .size = N * 4);
	uint32_t seq = SEND(&c, finish, 0, .queue = 2);
	testclient_send(&c);
	CHECK_EQ(testclient_answer(&c, seq), CL_SUCCESS);
	for (uint32_t i = 0; i < N; i++)
		CHECK_EQ(b[i], i);
	b[5] = 77;
	seq = SEND(&c, read, 0, .queue = 2, .buffer = 4, .offset = 20, .size = 4);
	testclient_send(&c);
	CHECK_EQ(testclient_answer(&c, seq), CL_SUCCESS);
	CHECK_EQ(*(uint32_t *)c.body.data, 77);
	end(&c, &s);
}

// A number that is used again has the place of the message that made it anew.
static void a_place_names_its_message(void)
{
	struct testclient c;
	struct shared s = begin(&c);

	new_buffer(&c, 3);
	SEND(&c, release, 0, .objects = WAITS(3));
	new_buffer(&c, 3);
	end(&c, &s);
}

// It may scribble, and hand memory back under our feet; it may not make it shorter.
static void a_hostile_program_cannot_harm_the_host(void)
{
	struct testclient c;
	struct shared s = begin(&c);
	uint64_t at = new_buffer(&c, 3);

	CHECK(ftruncate(s.fd, 0) < 0 && errno == EPERM);
	memset(s.at + at, 0xff, N * 4);
	CHECK_EQ(madvise(s.at, s.bytes, MADV_REMOVE), 0);
	uint32_t seq = SEND(&c, read, 0, .queue = 2, .buffer = 3, .size = N * 4);
	testclient_send(&c);
	CHECK_EQ(testclient_answer(&c, seq), CL_SUCCESS);
	CHECK_EQ(c.body.len, N * 4);
	CHECK_EQ(c.body.data[0], 0);
	end(&c, &s);
}

static void who_does_not_ask_gets_nothing(void)
{
	struct testclient c;

	testclient_connect(&c, path);
	greet(&c, 0);
	CHECK_EQ(receive_greeting(&c), -1);
	SEND(&c, context_create, 0, .id = 1);
	uint32_t seq = SEND(&c, buffer_create, P_ANSWER, .id = 2, .context = 1, .size = 4096);
	testclient_send(&c);
	struct p_frame f = testclient_next(&c); // no place before it
	struct p_answer m;
	CHECK_EQ(p_get_answer(&f, &m), 0);
	CHECK_EQ(m.stream, seq);
	testclient_close(&c);
}

static void it_does_not_move(void)
{
	char name[160];
	struct testhost h = { .control = -1 };

	snprintf(name, sizeof name, "%s" TESTCLIENT_CONTROL, path);
	h.control = unix_connect(name, NULL);
	CHECK(h.control >= 0);
	testhost_refused(&h, "move.begin",
		json_pack("{s:s, s:i}", "mode", "precopy", "channels", 1), "local-program");
	close(h.control);
	buf_free(&h.in);
}

static void without_the_option_nothing_is_shared(void)
{
	struct testclient c;

	testclient_connect(&c, path);
	greet(&c, P_SHARE);
	CHECK_EQ(receive_greeting(&c), -1);
	testclient_close(&c);
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	program = argv[1];
	pid_t pid = testclient_start(program, "--share-memory", path, sizeof path);
	RUN(bytes_are_the_buffers_own);
	RUN(a_place_names_its_message);
	RUN(a_hostile_program_cannot_harm_the_host);
	RUN(who_does_not_ask_gets_nothing);
	RUN(it_does_not_move);
	testclient_stop(pid, path);
	pid = testclient_start(program, NULL, path, sizeof path);
	RUN(without_the_option_nothing_is_shared);
	testclient_stop(pid, path);
}
