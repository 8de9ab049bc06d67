// SPDX-License-Identifier: Apache-2.0
// The library against a host that is a few lines of test: greeting, pipelining, failures that come
// late, numbers that are used again, a host that goes away or lies, fork(2).
#include "guest/stream/hello.h"
#include "guest/cl/object.h"
#include "guest/stream/session.h"
#include "guest/stream/transport.h"
#include "guest/cl/types.h"
#include "base/cleanup.h"
#include "base/test.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

static char path[64];
static int host = -1; // the host's end of the connection
static struct buf in; // what the guest sent and the host did not look at
static struct buf out;

// ---- the host

static void host_read(void)
{
	uint8_t *to = buf_reserve(&in, PROTO_FRAME_MAX);
	ssize_t n = read(host, to, PROTO_FRAME_MAX);

	CHECK(n > 0);
	in.len += (size_t)n;
}

// The next message; it must be `op`. Its fields stay valid until the one after.
static struct p_frame host_expect(uint16_t op)
{
	static size_t last;
	struct p_frame f;

	buf_consume(&in, last);
	while (!p_frame_next(in.data, in.len, &f))
		host_read();
	CHECK_EQ(f.op, op);
	last = f.length;
	return f;
}

static void host_write(void)
{
	CHECK_EQ(write(host, out.data, out.len), out.len);
	buf_reset(&out);
}

// In a child: greets with some rubbish of an earlier session first, then does as told.
static void host_greet(int listener)
{
	struct p_hello hello;
	struct buf info = { 0 };
	cl_command_queue_properties props = CL_QUEUE_PROFILING_ENABLE;
	struct p_info item = { PROTO_INFO_DEVICE, CL_DEVICE_QUEUE_PROPERTIES,
		{ (uint8_t *)&props, sizeof props } };
	cl_ulong bytes = 1 << 20;
	struct p_info alloc = { PROTO_INFO_DEVICE, CL_DEVICE_MAX_MEM_ALLOC_SIZE,
		{ (uint8_t *)&bytes, sizeof bytes } };

	host = accept(listener, NULL, NULL);
	struct p_frame f = host_expect(p_op_hello);
	CHECK_EQ(p_get_hello(&f, &hello), 0);
	p_put_info_item(&info, &item);
	p_put_info_item(&info, &alloc);
	struct p_hello_host answer = { PROTO_HELLO_MAGIC, hello.nonce, PROTO_VERSION, 0, 1 << 20,
		64, 1 << 20, { info.data, info.len } };
	buf_put(&out, "an unread rest of another session", 33);
	p_put_hello_host(&out, P_SHARE, 0, &answer);
	struct p_shared shared = { 1 << 20 }; // whose descriptor got lost on the way
	p_put_shared(&out, 0, 0, &shared);
	host_write();
}

static void host_answer(uint32_t seq, int32_t status)
{
	struct p_answer m = { seq, status, 0 };

	p_put_answer(&out, 0, 0, &m);
	host_write();
}

#define LONG (1u << 20) // bytes, and all the credit: in the middle the guest must wait for more

// The event ends, by a failure, while most of the bytes are still to come.
static void host_take_long_write(void)
{
	struct p_write w;
	struct p_data d;
	uint64_t at = 0;

	struct p_frame f = host_expect(p_op_buffer_create);
	host_answer(f.seq, CL_SUCCESS);
	f = host_expect(p_op_write);
	CHECK_EQ(p_get_write(&f, &w), 0);
	CHECK(w.size == LONG && w.bytes.n == 0);
	uint32_t stream = f.seq;
	struct p_event_status status = { .event = w.event, .status = CL_INVALID_VALUE };
	p_put_event_status(&out, 0, 0, &status);
	p_put_credit(&out, 0, 0, &(struct p_credit){ LONG });
	host_write();
	for (; at < LONG; at += d.bytes.n) {
		f = host_expect(p_op_data);
		CHECK_EQ(p_get_data(&f, &d), 0);
		CHECK(d.stream == stream && d.offset == at);
		CHECK(at || f.length == PROTO_DATA_FRAME_MAX);
		for (size_t i = 0; i < d.bytes.n; i++)
			CHECK_EQ(d.bytes.at[i], (uint32_t)(at + i) * 2654435761u >> 24);
	}
	host_expect(p_op_release); // the buffer, then the event
	host_expect(p_op_release);
	f = host_expect(p_op_finish);
	host_answer(f.seq, CL_SUCCESS);
}

// The fill fails before the read's answer goes out.
static void host_fail_before_a_read(uint32_t queue)
{
	struct p_failed failed = { queue, CL_OUT_OF_RESOURCES };

	host_expect(p_op_buffer_create);
	host_expect(p_op_fill);
	struct p_frame f = host_expect(p_op_read);
	p_put_failed(&out, 0, 0, &failed);
	p_put_answer_data(
		&out, 0, 0, &(struct p_answer_data){ f.seq, 0, { (uint8_t *)"abcd", 4 } });
	p_put_answer(&out, 0, 0, &(struct p_answer){ f.seq, CL_SUCCESS, 4 });
	host_write();
	host_expect(p_op_release);
	f = host_expect(p_op_finish);
	host_answer(f.seq, CL_SUCCESS);
}

// A late failure: the context exists here, the first small buffer does not.
static void host_play(int listener)
{
	struct p_queue_create q;
	struct p_buffer_create b;

	host_greet(listener);
	host_expect(p_op_context_create);
	struct p_frame f = host_expect(p_op_queue_create);
	CHECK_EQ(f.flags, P_ANSWER);
	CHECK_EQ(p_get_queue_create(&f, &q), 0);
	host_answer(f.seq, CL_SUCCESS);
	f = host_expect(p_op_buffer_create);
	CHECK_EQ(p_get_buffer_create(&f, &b), 0);
	struct p_place places[] = { { b.id, f.seq, 0 }, { b.id, f.seq, UINT64_MAX }, { 1, 1, 0 } };
	for (int i = 0; i < 3; i++)
		p_put_place(&out, 0, 0, &places[i]);
	struct p_failed failed = { b.id, CL_MEM_OBJECT_ALLOCATION_FAILURE };
	p_put_failed(&out, 0, 0, &failed);
	f = host_expect(p_op_finish);
	host_answer(f.seq, CL_SUCCESS);
	host_expect(p_op_release);
	f = host_expect(p_op_finish);
	host_answer(f.seq, CL_SUCCESS);
	host_fail_before_a_read(q.id);
	host_take_long_write();
	f = host_expect(p_op_buffer_create); // the number comes back
	struct p_buffer_create again;
	CHECK_EQ(p_get_buffer_create(&f, &again), 0);
	CHECK_EQ(again.id, b.id);
	host_expect(p_op_marker);
	close(host); // the host is gone, in the middle of a wait
}

static pid_t start_host(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(path, sizeof path, "/tmp/ferry-guest-test.%d", (int)getpid());
	strcpy(at.sun_path, path);
	unlink(path);
	CHECK_EQ(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
	CHECK_EQ(listen(listener, 1), 0);
	pid_t pid = fork();
	if (pid == 0) {
		host_play(listener);
		_exit(0);
	}
	close(listener);
	return pid;
}

// ---- the guest

static cl_context context;
static cl_command_queue queue;

static void no_vgpu_is_no_platform(void)
{
	cl_platform_id p;
	cl_uint n = 7;

	setenv("FERRY_VGPU", "unix:/nonexistent/ferry", 1);
	CHECK_EQ(ferry_clGetPlatformIDs(1, &p, &n), CL_PLATFORM_NOT_FOUND_KHR);
	CHECK_EQ(n, 0);
	CHECK_EQ(transport_open_name("bogus"), -EINVAL);
}

static void the_greeting_is_found_behind_rubbish(void)
{
	char name[80];
	cl_platform_id p;

	snprintf(name, sizeof name, "unix:%s", path);
	setenv("FERRY_VGPU", name, 1);
	CHECK_EQ(ferry_clGetPlatformIDs(1, &p, NULL), CL_SUCCESS);
	cl_device_id d = &the_device;
	cl_int err;
	context = ferry_clCreateContext(NULL, 1, &d, NULL, NULL, &err);
	CHECK_EQ(err, CL_SUCCESS);
	queue = ferry_clCreateCommandQueue(context, d, CL_QUEUE_PROFILING_ENABLE, &err);
	CHECK_EQ(err, CL_SUCCESS);
	CHECK(!ferry_clCreateCommandQueue(
		context, d, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &err));
	CHECK_EQ(err, CL_INVALID_QUEUE_PROPERTIES);
}

static void a_late_failure_is_told_at_the_first_use(void)
{
	cl_int err;
	cl_mem m = ferry_clCreateBuffer(context, 0, 100, NULL, &err);

	CHECK_EQ(err, CL_SUCCESS);
	CHECK_EQ(ferry_clFinish(queue), CL_SUCCESS);
	CHECK_EQ(ferry_clEnqueueFillBuffer(queue, m, "", 1, 0, 100, 0, NULL, NULL),
		CL_MEM_OBJECT_ALLOCATION_FAILURE);
	CHECK_EQ(ferry_clReleaseMemObject(m), CL_SUCCESS);
	CHECK_EQ(ferry_clFlush(queue), CL_SUCCESS);
	CHECK_EQ(ferry_clFinish(queue), CL_SUCCESS);
}

// What a command without an event failed with, by the first call behind it that waits.
static void a_blocking_read_tells_what_failed_before_it(void)
{
	cl_int err;
	char got[4];
	cl_mem m = ferry_clCreateBuffer(context, 0, 100, NULL, &err);

	CHECK_EQ(err, CL_SUCCESS);
	CHECK_EQ(ferry_clEnqueueFillBuffer(queue, m, "", 1, 0, 100, 0, NULL, NULL), CL_SUCCESS);
	CHECK_EQ(ferry_clEnqueueReadBuffer(queue, m, CL_TRUE, 0, sizeof got, got, 0, NULL, NULL),
		CL_OUT_OF_RESOURCES);
	CHECK_EQ(ferry_clReleaseMemObject(m), CL_SUCCESS);
	CHECK_EQ(ferry_clFlush(queue), CL_SUCCESS);
	CHECK_EQ(ferry_clFinish(queue), CL_SUCCESS);
}

static void handles_are_checked(void)
{
	CHECK_EQ(ferry_clFinish((cl_command_queue)context), CL_INVALID_COMMAND_QUEUE);
	CHECK_EQ(ferry_clFinish((cl_command_queue)((char *)queue + 1)), CL_INVALID_COMMAND_QUEUE);
	CHECK_EQ(ferry_clReleaseMemObject((cl_mem)queue), CL_INVALID_MEM_OBJECT);
}

static void a_child_has_no_vgpu(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(ferry_clFinish(queue) == CL_DEVICE_NOT_AVAILABLE ? 0 : 1);
	waitpid(pid, &status, 0);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

// Memory that its owner makes accessible in a handler of SIGSEGV, as some collectors of garbage do.
static uint8_t *hidden;

static void on_fault(int signo, siginfo_t *info, void *unused)
{
	if ((uint8_t *)info->si_addr < hidden || (uint8_t *)info->si_addr >= hidden + 4096)
		_exit(1);
	mprotect(hidden, 4096, PROT_READ | PROT_WRITE);
}

static void a_long_write_goes_from_where_it_lies(void)
{
	struct sigaction act = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO }, before;
	uint8_t *bytes =
		mmap(NULL, LONG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cl_int err, status = 0;
	cl_event e;

	CHECK(bytes != MAP_FAILED);
	for (uint32_t i = 0; i < LONG; i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 24);
	hidden = bytes + LONG / 4 + 4096;
	CHECK_EQ(mprotect(hidden, 4096, PROT_NONE), 0);
	CHECK_EQ(sigaction(SIGSEGV, &act, &before), 0);
	cl_mem m = ferry_clCreateBuffer(context, 0, LONG, NULL, &err);
	CHECK_EQ(err, CL_SUCCESS);
	CHECK_EQ(ferry_clEnqueueWriteBuffer(queue, m, CL_FALSE, 0, LONG, bytes, 0, NULL, &e),
		CL_SUCCESS);
	CHECK_EQ(sigaction(SIGSEGV, &before, NULL), 0);
	CHECK_EQ(ferry_clGetEventInfo(
			 e, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL),
		CL_SUCCESS);
	CHECK_EQ(status, CL_INVALID_VALUE);
	CHECK_EQ(ferry_clReleaseMemObject(m), CL_SUCCESS);
	CHECK_EQ(ferry_clReleaseEvent(e), CL_SUCCESS);
	CHECK_EQ(ferry_clFlush(queue), CL_SUCCESS);
	CHECK_EQ(ferry_clFinish(queue), CL_SUCCESS);
	munmap(bytes, LONG);
}

static void a_lost_host_ends_every_wait(void)
{
	cl_int err;
	cl_event e;
	cl_mem m = ferry_clCreateBuffer(context, 0, 100, NULL, &err);

	CHECK_EQ(ferry_clEnqueueMarkerWithWaitList(queue, 0, NULL, &e), CL_SUCCESS);
	CHECK_EQ(ferry_clWaitForEvents(1, &e), CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
	CHECK_EQ(ferry_clGetEventInfo(e, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof err, &err, NULL),
		CL_SUCCESS);
	CHECK_EQ(err, CL_DEVICE_NOT_AVAILABLE);
	CHECK_EQ(ferry_clFinish(queue), CL_DEVICE_NOT_AVAILABLE);
	CHECK_EQ(ferry_clReleaseEvent(e), CL_SUCCESS);
	CHECK_EQ(ferry_clReleaseMemObject(m), CL_SUCCESS);
	CHECK_EQ(ferry_clReleaseCommandQueue(queue), CL_SUCCESS);
	CHECK_EQ(ferry_clReleaseContext(context), CL_SUCCESS);
}

static void every_entry_is_there(void)
{
	void *const *entry = (void *const *)&ferry_dispatch;

	for (size_t i = 0; i < sizeof ferry_dispatch / sizeof *entry; i++)
		CHECK(entry[i]);
	CHECK(dispatch_find("clFinish") == (void *)ferry_clFinish);
	CHECK(!dispatch_find("clNoSuchCall"));
}

int main(void)
{
	int status;

	alarm(30);
	RUN(every_entry_is_there);
	RUN(no_vgpu_is_no_platform);
	pid_t pid = start_host();
	RUN(the_greeting_is_found_behind_rubbish);
	RUN(handles_are_checked);
	RUN(a_late_failure_is_told_at_the_first_use);
	RUN(a_blocking_read_tells_what_failed_before_it);
	RUN(a_child_has_no_vgpu);
	RUN(a_long_write_goes_from_where_it_lies);
	RUN(a_lost_host_ends_every_wait);
	waitpid(pid, &status, 0);
	unlink(path);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
