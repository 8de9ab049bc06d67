// SPDX-License-Identifier: Apache-2.0
#include "vgpu/testing/testclient.h"

#include "base/file.h"
#include "base/process.h"
#include "base/socket.h"
#include "base/test.h"

#include <CL/cl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 30000

static pid_t started; // 0: nothing, or ended

static void end_started(void)
{
	if (started > 0) // 0 would be our own process group
		kill(started, SIGKILL);
}

pid_t testclient_start(const char *program, const char *option, char *ret_path, size_t size)
{
	char folder[] = "/tmp/ferry-vgpu-test-XXXXXX";
	struct ferry_error e = FERRY_ERROR_INIT;
	char cache[64], env[96], control[64];
	pid_t pid;

	CHECK(mkdtemp(folder));
	snprintf(ret_path, size, "%s/s", folder);
	snprintf(control, sizeof control, "%s/s" TESTCLIENT_CONTROL, folder);
	snprintf(cache, sizeof cache, "%s/cl-cache", folder);
	snprintf(env, sizeof env, "POCL_CACHE_DIR=%s", cache);
	struct process_spec spec = { .argv = (const char *[]){ program, "--serve", ret_path,
					     "--control", control, "--memory", "67108864", option,
					     NULL },
		.env = (const char *[]){ env, NULL },
		.log_fd = 2,
		.init = option && !strncmp(option, "--user=", 7) };
	CHECK_EQ(process_start(&spec, &pid, &e), 0);
	started = pid;
	atexit(end_started);
	for (int i = 0; access(ret_path, F_OK) != 0 && i < PATIENCE_MS / 10; i++)
		usleep(10000);
	return pid;
}

void testclient_stop(pid_t pid, char *path)
{
	int status;

	CHECK_EQ(kill(pid, SIGTERM), 0);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	started = 0;
	CHECK_EQ(status, 0);
	*strrchr(path, '/') = 0;
	CHECK_EQ(path_remove(path, NULL), 0);
}

void testclient_connect(struct testclient *c, const char *path)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	*c = (struct testclient){ .fd = -1 };
	for (int i = 0; c->fd < 0 && i < PATIENCE_MS / 10; i++) {
		c->fd = unix_connect(path, &e);
		if (c->fd < 0)
			usleep(10000); // bound, perhaps, but not listening yet
	}
	CHECK(c->fd >= 0);
}

void testclient_close(struct testclient *c)
{
	close(c->fd);
	buf_free(&c->out);
	buf_free(&c->in);
	buf_free(&c->body);
}

void testclient_send(struct testclient *c)
{
	size_t at = 0;

	while (at < c->out.len) {
		ssize_t n = send(c->fd, c->out.data + at, c->out.len - at, MSG_NOSIGNAL);
		CHECK(n > 0);
		at += (size_t)n;
	}
	buf_reset(&c->out);
}

// The frame at the front, or false at the end of the stream.
static bool next_frame(struct testclient *c, struct p_frame *f)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	int r;

	while ((r = p_frame_next(c->in.data, c->in.len, f)) == 0) {
		CHECK(poll(&p, 1, PATIENCE_MS) == 1);
		ssize_t n = recv(c->fd, buf_reserve(&c->in, 65536), 65536, 0);
		if (n <= 0)
			return false;
		c->in.len += (size_t)n;
	}
	CHECK_EQ(r, 1);
	return true;
}

// `in` keeps the last frame at its front; this drops it. Its bytes stay valid in `hold`.
struct p_frame testclient_next(struct testclient *c)
{
	static uint8_t hold[PROTO_FRAME_MAX];
	struct p_frame f;

	do {
		CHECK(next_frame(c, &f));
		memcpy(hold, f.body, f.body_bytes);
		f.body = hold;
		buf_consume(&c->in, f.length);
	} while (f.op == p_op_credit);
	return f;
}

void testclient_expect_end(struct testclient *c)
{
	struct p_frame f;

	while (next_frame(c, &f))
		buf_consume(&c->in, f.length);
}

void testclient_expect_bytes(
	struct testclient *c, uint32_t queue, uint32_t buffer, const void *bytes, size_t n)
{
	uint32_t seq = SEND(c, read, 0, .queue = queue, .buffer = buffer, .size = n);

	testclient_send(c);
	CHECK_EQ(testclient_answer(c, seq), CL_SUCCESS);
	CHECK_EQ(c->body.len, n);
	CHECK(!memcmp(c->body.data, bytes, n));
}

void testclient_hello(struct testclient *c)
{
	struct p_hello_host m;

	SEND(c, hello, 0, .magic = PROTO_HELLO_MAGIC, .version = PROTO_VERSION, .pid = 1,
		.nonce = 0x1234, .process = TEXT("test"));
	testclient_send(c);
	struct p_frame f = testclient_next(c);
	CHECK_EQ(p_get_hello_host(&f, &m), 0);
	CHECK(m.magic == PROTO_HELLO_MAGIC && m.nonce == 0x1234 && m.status == CL_SUCCESS);
}

int32_t testclient_answer(struct testclient *c, uint32_t seq)
{
	buf_reset(&c->body);
	for (;;) {
		struct p_frame f = testclient_next(c);
		struct p_answer_data data;
		struct p_answer answer;
		if (f.op == p_op_answer_data) {
			CHECK_EQ(p_get_answer_data(&f, &data), 0);
			if (data.stream != seq)
				continue;
			CHECK_EQ(data.offset, c->body.len);
			buf_put(&c->body, data.bytes.at, data.bytes.n);
		} else if (f.op == p_op_failed) {
			struct p_failed failed;
			CHECK_EQ(p_get_failed(&f, &failed), 0);
			fprintf(stderr, "note: object %u failed: %d\n", failed.object,
				failed.status);
		} else if (f.op == p_op_answer) {
			CHECK_EQ(p_get_answer(&f, &answer), 0);
			if (answer.stream == seq)
				return answer.status;
		}
	}
}

int32_t testclient_event(struct testclient *c, uint32_t event)
{
	for (;;) {
		struct p_frame f = testclient_next(c);
		struct p_event_status m;
		if (f.op != p_op_event_status)
			continue;
		CHECK_EQ(p_get_event_status(&f, &m), 0);
		if (m.event == event)
			return m.status;
	}
}

void testclient_prepare(struct testclient *c, const char *source)
{
	testclient_hello(c);
	SEND(c, context_create, 0, .id = 1);
	SEND(c, queue_create, 0, .id = 2, .context = 1, .properties = CL_QUEUE_PROFILING_ENABLE);
	SEND(c, program_source, 0, .id = 3, .context = 1, .total = strlen(source),
		.bytes = TEXT(source));
	uint32_t seq = SEND(c, program_build, 0, .program = 3);
	testclient_send(c);
	CHECK_EQ(testclient_answer(c, seq), CL_SUCCESS);
}
