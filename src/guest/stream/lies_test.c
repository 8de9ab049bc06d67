// SPDX-License-Identifier: Apache-2.0
// The library against a host that lies: each time another program, which greets, makes a few objects and waits,
// and then gets a frame that no ferry-vgpu sends there. That ends its session, and touches nothing of its memory.
#include "guest/cl/object.h"
#include "guest/cl/types.h"
#include "guest/stream/session.h"
#include "base/cleanup.h"
#include "base/test.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

// ---- the host

#define CREDIT (2u * PROTO_FRAME_MAX)

static int host = -1; // the host's end of the connection
static struct buf in; // what the guest sent and the host did not look at
static struct buf out;
static uint32_t read_seq; // of the read that the host has not answered

#define PUT(name, ...) CHECK_EQ(p_put_##name(&out, 0, 0, &(struct p_##name){ __VA_ARGS__ }), 0)

static void host_write(void)
{
	ssize_t n = send(host, out.data, out.len, MSG_NOSIGNAL);

	(void)n; // the guest may have hung up already
	buf_reset(&out);
}

// Reads up to a message of this kind: its seq; 0 where the guest has gone.
static uint32_t host_find(uint16_t op, struct p_frame *ret)
{
	static size_t last;

	for (;;) {
		buf_consume(&in, last);
		last = 0;
		while (!p_frame_next(in.data, in.len, ret)) {
			ssize_t n =
				recv(host, buf_reserve(&in, PROTO_FRAME_MAX), PROTO_FRAME_MAX, 0);
			if (n <= 0)
				return 0;
			in.len += (size_t)n;
		}
		last = ret->length;
		if (ret->op == op)
			return ret->seq;
	}
}

static void host_greet(int listener)
{
	struct p_hello hello;
	struct p_frame f;
	cl_ulong most = 1 << 20;
	_cleanup_buf_ struct buf info = { 0 };

	buf_reset(&in);
	host = accept(listener, NULL, NULL);
	CHECK(host_find(p_op_hello, &f) && p_get_hello(&f, &hello) == 0);
	p_put_info_item(&info, &(struct p_info){ PROTO_INFO_DEVICE, CL_DEVICE_MAX_MEM_ALLOC_SIZE,
				       { (uint8_t *)&most, sizeof most } });
	PUT(hello_host, PROTO_HELLO_MAGIC, hello.nonce, PROTO_VERSION, 0, CREDIT, 64, most,
		{ info.data, info.len });
	host_write();
}

// ---- the guest's objects, by their numbers

enum { CONTEXT = 1, QUEUE, BUFFER, READ, USER };

static const uint8_t bytes[256];

static void an_answer_to_nobody(void)
{
	PUT(answer, .stream = 12345);
}

static void bytes_for_nobody(void)
{
	PUT(answer_data, .stream = 12345, .bytes = { bytes, 8 });
}

static void more_bytes_than_were_asked_for(void)
{
	PUT(answer_data, .stream = read_seq, .bytes = { bytes, 65 });
}

static void more_bytes_in_two(void)
{
	PUT(answer_data, .stream = read_seq, .bytes = { bytes, 60 });
	PUT(answer_data, .stream = read_seq, .offset = 60, .bytes = { bytes, 5 });
}

static void bytes_with_a_gap(void)
{
	PUT(answer_data, .stream = read_seq, .offset = UINT64_MAX - 3, .bytes = { bytes, 8 });
}

static void fewer_bytes_and_success(void)
{
	PUT(answer_data, .stream = read_seq, .bytes = { bytes, 8 });
	PUT(answer, .stream = read_seq, .bytes = 8);
}

static void another_number_of_bytes(void)
{
	PUT(answer_data, .stream = read_seq, .bytes = { bytes, 64 });
	PUT(answer, .stream = read_seq, .bytes = 65);
}

static void an_end_of_no_event(void)
{
	PUT(event_status, .event = BUFFER);
}

static void an_end_that_is_none(void)
{
	PUT(event_status, .event = READ, .status = CL_RUNNING);
}

static void two_ends(void)
{
	PUT(event_status, .event = READ);
	PUT(event_status, .event = READ);
}

static void an_end_of_the_programs_own_event(void)
{
	PUT(event_status, .event = USER);
}

static void a_failure_that_is_none(void)
{
	PUT(failed, .object = QUEUE, .status = 0);
}

static void endless_credit(void)
{
	PUT(credit, .bytes = UINT64_MAX);
}

static void a_second_greeting(void)
{
	PUT(hello_host, .magic = PROTO_HELLO_MAGIC);
}

static void a_message_for_the_host(void)
{
	PUT(finish, .queue = QUEUE);
}

static void a_frame_longer_than_the_buffer(void)
{
	PUT(data, .stream = read_seq);
	p_patch_bulk(out.data, PROTO_DATA_HEAD, PROTO_BULK_MAX);
	for (size_t i = 0; i < PROTO_BULK_MAX; i += sizeof bytes)
		buf_put(&out, bytes, sizeof bytes);
}

static void a_field_that_goes_past_its_frame(void)
{
	PUT(output, .text = { bytes, 8 });
	out.data[PROTO_HEADER] = 200;
}

static const struct {
	const char *name;
	void (*put)(void);
} lies[] = {
#define LIE(name)                                                                                  \
	{                                                                                          \
#name, name                                                                        \
	}
	LIE(an_answer_to_nobody),
	LIE(bytes_for_nobody),
	LIE(more_bytes_than_were_asked_for),
	LIE(more_bytes_in_two),
	LIE(bytes_with_a_gap),
	LIE(fewer_bytes_and_success),
	LIE(another_number_of_bytes),
	LIE(an_end_of_no_event),
	LIE(an_end_that_is_none),
	LIE(two_ends),
	LIE(an_end_of_the_programs_own_event),
	LIE(a_failure_that_is_none),
	LIE(endless_credit),
	LIE(a_second_greeting),
	LIE(a_message_for_the_host),
	LIE(a_frame_longer_than_the_buffer),
	LIE(a_field_that_goes_past_its_frame),
};

// ---- the guest

static cl_context context;
static cl_command_queue queue;
static cl_mem buffer;

static void open_session(void)
{
	cl_platform_id p;
	cl_device_id d = &the_device;
	cl_int err;

	CHECK_EQ(ferry_clGetPlatformIDs(1, &p, NULL), CL_SUCCESS);
	context = ferry_clCreateContext(NULL, 1, &d, NULL, NULL, &err);
	CHECK_EQ(err, CL_SUCCESS);
	queue = ferry_clCreateCommandQueue(context, d, 0, &err);
	CHECK_EQ(err, CL_SUCCESS);
	buffer = ferry_clCreateBuffer(context, 0, 64 << 10, NULL, &err);
	CHECK_EQ(err, CL_SUCCESS);
}

static void release_all(void)
{
	ferry_clReleaseMemObject(buffer);
	ferry_clReleaseCommandQueue(queue);
	ferry_clReleaseContext(context);
}

static void wait_for_a_liar(void)
{
	struct {
		uint8_t before[64], bytes[64], after[64];
	} memory = { 0 };
	cl_event read, user;
	cl_int err;

	open_session();
	memset(memory.before, 0x5a, sizeof memory.before);
	memset(memory.after, 0x5a, sizeof memory.after);
	CHECK_EQ(ferry_clEnqueueReadBuffer(
			 queue, buffer, CL_FALSE, 0, 64, memory.bytes, 0, NULL, &read),
		CL_SUCCESS);
	user = ferry_clCreateUserEvent(context, &err);
	CHECK_EQ(err, CL_SUCCESS);
	CHECK_EQ(ferry_clFinish(queue), CL_DEVICE_NOT_AVAILABLE);
	for (size_t i = 0; i < 64; i++)
		CHECK(memory.before[i] == 0x5a && memory.after[i] == 0x5a);
	CHECK_EQ(ferry_clSetUserEventStatus(user, CL_COMPLETE), CL_DEVICE_NOT_AVAILABLE);
	CHECK_EQ(ferry_clReleaseEvent(user), CL_SUCCESS);
	CHECK_EQ(ferry_clReleaseEvent(read), CL_SUCCESS);
	release_all();
}

// Uses the credit up: the next command is announced when there is more.
static void wait_for_credit(void)
{
	static const uint8_t much[40 << 10];
	cl_event e = NULL;

	open_session();
	CHECK_EQ(ferry_clEnqueueWriteBuffer(
			 queue, buffer, CL_FALSE, 0, sizeof much, much, 0, NULL, NULL),
		CL_SUCCESS);
	CHECK_EQ(ferry_clEnqueueMarkerWithWaitList(queue, 0, NULL, &e), CL_DEVICE_NOT_AVAILABLE);
	CHECK(!e);
	release_all();
}

// ---- tests

static int listener = -1;

static pid_t start_guest(void (*guest)(void))
{
	pid_t pid = fork();

	if (pid)
		return pid;
	close(listener);
	guest();
	fflush(NULL);
	_exit(0);
}

static void expect_unharmed(pid_t pid)
{
	int status;

	shutdown(host, SHUT_WR);
	while (recv(host, buf_reserve(&in, PROTO_FRAME_MAX), PROTO_FRAME_MAX, 0) > 0)
		;
	close(host);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void a_lie_ends_the_session(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		struct p_frame f;
		pid_t pid = start_guest(wait_for_a_liar);

		printf("   %s\n", lies[i].name);
		host_greet(listener);
		uint32_t seq = host_find(p_op_queue_create, &f);
		PUT(answer, .stream = seq);
		host_write();
		read_seq = host_find(p_op_read, &f);
		seq = read_seq ? host_find(p_op_finish, &f) : 0;
		CHECK(seq);
		lies[i].put();
		// Where the lie is believed it goes on.
		PUT(answer_data, .stream = read_seq, .bytes = { bytes, 64 });
		PUT(answer, .stream = read_seq, .bytes = 64);
		PUT(answer, .stream = seq);
		host_write();
		expect_unharmed(pid);
	}
}

// The guest has a number for it, and has not told it yet.
static void an_event_that_was_not_announced_has_no_end(void)
{
	struct p_frame f;
	pid_t pid = start_guest(wait_for_credit);

	host_greet(listener);
	uint32_t seq = host_find(p_op_queue_create, &f);
	PUT(answer, .stream = seq);
	host_write();
	CHECK(host_find(p_op_data, &f));
	PUT(event_status, .event = BUFFER + 1);
	PUT(credit, .bytes = CREDIT);
	host_write();
	expect_unharmed(pid);
}

int main(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	char name[sizeof at.sun_path + 8];

	alarm(60);
	setvbuf(stdout, NULL, _IOLBF, 0);
	snprintf(at.sun_path, sizeof at.sun_path, "/tmp/ferry-guest-lies.%d", (int)getpid());
	snprintf(name, sizeof name, "unix:%s", at.sun_path);
	setenv("FERRY_VGPU", name, 1);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unlink(at.sun_path);
	CHECK_EQ(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
	CHECK_EQ(listen(listener, 1), 0);
	RUN(a_lie_ends_the_session);
	RUN(an_event_that_was_not_announced_has_no_end);
	unlink(at.sun_path);
}
