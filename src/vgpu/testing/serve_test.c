// SPDX-License-Identifier: Apache-2.0
// The real ferry-vgpu over its socket, with hand-made frames, good and bad.
#include "vgpu/testing/testclient.h"

#include "base/file.h"
#include "base/test.h"
#include "vgpu/vgpu.h"

#include <CL/cl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static char path[128];
static const char source[] = "__kernel void add(__global int *a, int k, __local int *l)\n"
			     "{ a[get_global_id(0)] += k; }\n"
			     "__kernel void twice(__global int *a)\n"
			     "{ a[get_global_id(0)] *= 2; }\n";

static struct p_blob args_of(struct buf *b, uint32_t buffer, int k)
{
	struct p_arg items[] = { { 0, PROTO_ARG_BUFFER, buffer, { 0 } },
		{ 1, PROTO_ARG_BYTES, 0, BYTES(&k, sizeof k) }, { 2, PROTO_ARG_LOCAL, 16, { 0 } } };

	buf_reset(b);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(p_put_arg_item(b, &items[i]), 0);
	return BYTES(b->data, b->len);
}

#define ONE_D(n) .dims = 1, .global = { { n, 1, 1 } }

static void the_build_answer_describes_the_kernels(void)
{
	struct testclient c;
	struct p_build_result result;
	struct p_kernel_info info;
	struct p_kernel_arg_info arg;

	testclient_connect(&c, path);
	testclient_prepare(&c, source);
	struct rd r = rd_make(c.body.data, c.body.len);
	CHECK_EQ(p_get_build_result_item(&r, &result), 0);
	CHECK_EQ(result.kernels, 2);
	CHECK_EQ(result.build_status, CL_BUILD_SUCCESS);
	for (uint32_t i = 0; i < result.kernels; i++) {
		CHECK_EQ(p_get_kernel_info_item(&r, &info), 0);
		CHECK(info.work_group_size > 0);
		for (uint32_t k = 0; k < info.args; k++)
			CHECK_EQ(p_get_kernel_arg_info_item(&r, &arg), 0);
	}
	CHECK(r.left == 0 && !r.failed);
	testclient_close(&c);
}

static void pipelined_commands_give_the_right_bytes(void)
{
	_cleanup_buf_ struct buf args = { 0 };
	struct testclient c;
	int data[1024], got[1024];

	for (int i = 0; i < 1024; i++)
		data[i] = i;
	testclient_connect(&c, path);
	testclient_prepare(&c, source);
	SEND(&c, buffer_create, 0, .id = 4, .context = 1, .size = sizeof data);
	SEND(&c, kernel_create, 0, .id = 5, .program = 3, .name = TEXT("add"));
	SEND(&c, write, 0, .queue = 2, .buffer = 4, .size = sizeof data,
		.bytes = BYTES(data, sizeof data));
	for (int k = 1; k <= 1000; k++)
		SEND(&c, launch, 0, .queue = 2, .kernel = 5, ONE_D(1024),
			.args = args_of(&args, 4, k));
	uint32_t seq = SEND(&c, read, 0, .queue = 2, .buffer = 4, .event = 6, .size = sizeof got);
	testclient_send(&c);
	CHECK_EQ(testclient_answer(&c, seq), CL_SUCCESS);
	CHECK_EQ(c.body.len, sizeof got);
	memcpy(got, c.body.data, sizeof got);
	for (int i = 0; i < 1024; i++)
		CHECK_EQ(got[i], i + 500500);
	CHECK_EQ(testclient_event(&c, 6), CL_COMPLETE);
	testclient_close(&c);
}

static void large_writes_arrive_in_parts(void)
{
	enum { N = 1 << 20 };
	static uint8_t data[N];
	struct testclient c;

	for (int i = 0; i < N; i++)
		data[i] = (uint8_t)(i * 31 >> 3);
	testclient_connect(&c, path);
	testclient_prepare(&c, source);
	SEND(&c, buffer_create, 0, .id = 4, .context = 1, .size = N);
	uint32_t write =
		SEND(&c, write, 0, .queue = 2, .buffer = 4, .size = N, .bytes = BYTES(data, 1000));
	for (size_t at = 1000; at < N;) {
		size_t n = N - at < PROTO_DATA_MAX ? N - at : PROTO_DATA_MAX;
		SEND(&c, data, 0, .stream = write, .offset = at, .bytes = BYTES(data + at, n));
		at += n;
	}
	uint32_t seq = SEND(&c, read, 0, .queue = 2, .buffer = 4, .size = N);
	testclient_send(&c);
	CHECK_EQ(testclient_answer(&c, seq), CL_SUCCESS);
	CHECK(c.body.len == N && !memcmp(c.body.data, data, N));
	testclient_close(&c);
}

static void rectangles_go_to_their_rows(void)
{
	struct testclient c;
	uint8_t zero[64] = { 0 }, tile[4] = { 1, 2, 3, 4 };

	testclient_connect(&c, path);
	testclient_prepare(&c, source);
	SEND(&c, buffer_create, 0, .id = 4, .context = 1, .size = 64);
	SEND(&c, write, 0, .queue = 2, .buffer = 4, .size = 64, .bytes = BYTES(zero, 64));
	SEND(&c, write_rect, 0, .queue = 2, .buffer = 4, .origin = { { 2, 3, 0 } },
		.region = { { 2, 2, 1 } }, .row_pitch = 8, .slice_pitch = 64,
		.bytes = BYTES(tile, 4));
	uint32_t seq = SEND(&c, read, 0, .queue = 2, .buffer = 4, .size = 64);
	uint32_t rect = SEND(&c, read_rect, 0, .queue = 2, .buffer = 4, .origin = { { 2, 3, 0 } },
		.region = { { 2, 2, 1 } }, .row_pitch = 8, .slice_pitch = 64);
	testclient_send(&c);
	CHECK_EQ(testclient_answer(&c, seq), CL_SUCCESS);
	CHECK(c.body.data[26] == 1 && c.body.data[27] == 2 && c.body.data[34] == 3 &&
		c.body.data[35] == 4 && c.body.data[28] == 0);
	CHECK_EQ(testclient_answer(&c, rect), CL_SUCCESS);
	CHECK(c.body.len == 4 && !memcmp(c.body.data, tile, 4));
	testclient_close(&c);
}

static void a_user_event_holds_back_what_waits_for_it(void)
{
	_cleanup_buf_ struct buf args = { 0 };
	struct testclient c;
	int one = 1;

	testclient_connect(&c, path);
	testclient_prepare(&c, source);
	SEND(&c, buffer_create, 0, .id = 4, .context = 1, .size = 4);
	SEND(&c, kernel_create, 0, .id = 5, .program = 3, .name = TEXT("add"));
	SEND(&c, queue_create, 0, .id = 6, .context = 1);
	SEND(&c, write, 0, .queue = 2, .buffer = 4, .event = 7, .size = 4, .bytes = BYTES(&one, 4));
	SEND(&c, user_event_create, 0, .id = 8, .context = 1);
	// Held back with k = 10; the kernel's arguments change to 100 before it runs.
	SEND(&c, launch, 0, .queue = 2, .kernel = 5, .event = 9, ONE_D(1), .waits = WAITS(8, 7),
		.args = args_of(&args, 4, 10));
	SEND(&c, launch, 0, .queue = 6, .kernel = 5, .event = 10, ONE_D(1), .waits = WAITS(7),
		.args = args_of(&args, 4, 100));
	uint32_t early = SEND(&c, read, 0, .queue = 6, .buffer = 4, .size = 4, .waits = WAITS(10));
	testclient_send(&c);
	CHECK_EQ(testclient_answer(&c, early), CL_SUCCESS);
	CHECK_EQ(*(int *)c.body.data, 101);
	SEND(&c, user_event_set, 0, .event = 8, .status = CL_COMPLETE);
	uint32_t late = SEND(&c, read, 0, .queue = 2, .buffer = 4, .size = 4);
	testclient_send(&c);
	CHECK_EQ(testclient_answer(&c, late), CL_SUCCESS);
	CHECK_EQ(*(int *)c.body.data, 111);
	testclient_close(&c);
}

static void a_failed_user_event_fails_its_waiters(void)
{
	struct testclient c;

	testclient_connect(&c, path);
	testclient_prepare(&c, source);
	SEND(&c, user_event_create, 0, .id = 8, .context = 1);
	SEND(&c, marker, 0, .queue = 2, .event = 9, .waits = WAITS(8));
	SEND(&c, user_event_set, 0, .event = 8, .status = -5);
	testclient_send(&c);
	CHECK_EQ(testclient_event(&c, 9), CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
	testclient_close(&c);
}

static void an_out_of_order_queue_overtakes_but_not_barriers(void)
{
	struct testclient c;

	testclient_connect(&c, path);
	testclient_prepare(&c, source);
	SEND(&c, queue_create, 0, .id = 4, .context = 1,
		.properties = CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE);
	SEND(&c, user_event_create, 0, .id = 8, .context = 1);
	SEND(&c, marker, 0, .queue = 4, .event = 9, .waits = WAITS(8));
	SEND(&c, user_event_create, 0, .id = 10, .context = 1);
	SEND(&c, user_event_set, 0, .event = 10, .status = CL_COMPLETE);
	SEND(&c, marker, 0, .queue = 4, .event = 11, .waits = WAITS(10));
	SEND(&c, barrier, 0, .queue = 4, .event = 12);
	SEND(&c, marker, 0, .queue = 4, .event = 13, .waits = WAITS(10));
	uint32_t done = SEND(&c, finish, 0, .queue = 4);
	testclient_send(&c);
	CHECK_EQ(testclient_event(&c, 11), CL_COMPLETE);
	SEND(&c, user_event_set, 0, .event = 8, .status = CL_COMPLETE);
	testclient_send(&c);
	CHECK_EQ(testclient_event(&c, 9), CL_COMPLETE);
	CHECK_EQ(testclient_event(&c, 12), CL_COMPLETE);
	CHECK_EQ(testclient_event(&c, 13), CL_COMPLETE);
	CHECK_EQ(testclient_answer(&c, done), CL_SUCCESS);
	testclient_close(&c);
}

static void memory_is_the_profiles(void)
{
	struct testclient c;

	testclient_connect(&c, path);
	testclient_prepare(&c, source);
	uint32_t a = SEND(&c, buffer_create, P_ANSWER, .id = 4, .context = 1, .size = 48 << 20);
	uint32_t b = SEND(&c, buffer_create, P_ANSWER, .id = 5, .context = 1, .size = 48 << 20);
	SEND(&c, release, 0, .objects = WAITS(4));
	uint32_t d = SEND(&c, buffer_create, P_ANSWER, .id = 4, .context = 1, .size = 48 << 20);
	// A use of the one that failed fails with its code.
	uint32_t read = SEND(&c, read, 0, .queue = 2, .buffer = 5, .size = 4);
	testclient_send(&c);
	CHECK_EQ(testclient_answer(&c, a), CL_SUCCESS);
	CHECK_EQ(testclient_answer(&c, b), CL_MEM_OBJECT_ALLOCATION_FAILURE);
	CHECK_EQ(testclient_answer(&c, d), CL_SUCCESS);
	CHECK_EQ(testclient_answer(&c, read), CL_MEM_OBJECT_ALLOCATION_FAILURE);
	testclient_close(&c);
}

static void mistyped_arguments_fail_the_launch(void)
{
	_cleanup_buf_ struct buf args = { 0 };
	struct testclient c;
	uint64_t pointer = 0x4141414141414141;
	struct p_arg item = { 0, PROTO_ARG_BYTES, 0, BYTES(&pointer, sizeof pointer) };

	testclient_connect(&c, path);
	testclient_prepare(&c, source);
	SEND(&c, kernel_create, 0, .id = 5, .program = 3, .name = TEXT("twice"));
	SEND(&c, launch, 0, .queue = 2, .kernel = 5, .event = 6, ONE_D(1));
	CHECK_EQ(p_put_arg_item(&args, &item), 0);
	SEND(&c, launch, 0, .queue = 2, .kernel = 5, .event = 7, ONE_D(1),
		.args = BYTES(args.data, args.len));
	testclient_send(&c);
	CHECK_EQ(testclient_event(&c, 6), CL_INVALID_KERNEL_ARGS);
	CHECK_EQ(testclient_event(&c, 7), CL_INVALID_ARG_VALUE);
	testclient_close(&c);
}

static int32_t launch_with_local(struct testclient *c, uint32_t event, uint64_t bytes)
{
	const struct p_arg local = { 2, PROTO_ARG_LOCAL, bytes, { 0 } };
	_cleanup_buf_ struct buf args = { 0 };

	CHECK_EQ(p_put_arg_item(&args, &local), 0);
	SEND(c, launch, 0, .queue = 2, .kernel = 5, .event = event, ONE_D(1),
		.args = BYTES(args.data, args.len));
	testclient_send(c);
	return testclient_event(c, event);
}

// The library refuses it; a guest without it must not end the driver either, which asserts.
static void local_memory_beyond_the_devices_fails_the_launch(void)
{
	static const uint64_t much[] = { 1ull << 31, (1ull << 32) + 64, UINT64_MAX };
	struct testclient c;
	_cleanup_buf_ struct buf args = { 0 };

	testclient_connect(&c, path);
	testclient_prepare(&c, source);
	SEND(&c, buffer_create, 0, .id = 4, .context = 1, .size = 64);
	SEND(&c, kernel_create, 0, .id = 5, .program = 3, .name = TEXT("add"));
	SEND(&c, kernel_args, 0, .kernel = 5, .args = args_of(&args, 4, 1));
	for (uint32_t i = 0; i < 3; i++)
		CHECK_EQ(launch_with_local(&c, 6 + i, much[i]), CL_OUT_OF_RESOURCES);
	CHECK_EQ(launch_with_local(&c, 9, 64), CL_COMPLETE);
	testclient_close(&c);
}

static int32_t announce_program(struct testclient *c, uint32_t id)
{
	uint32_t seq = SEND(c, program_source, P_ANSWER, .id = id, .context = 1,
		.total = PROTO_SOURCE_MAX, .bytes = TEXT("x"));

	testclient_send(c);
	return testclient_answer(c, seq);
}

// What was announced counts, of all programs of the vGPU.
static void the_texts_of_programs_have_a_quota(void)
{
	const uint32_t most = VGPU_TEXTS_MAX / PROTO_SOURCE_MAX;
	struct testclient c, other;

	testclient_connect(&c, path);
	testclient_hello(&c);
	SEND(&c, context_create, 0, .id = 1);
	for (uint32_t i = 0; i < most; i++)
		CHECK_EQ(announce_program(&c, 10 + i), CL_SUCCESS);
	CHECK_EQ(announce_program(&c, 100), CL_OUT_OF_HOST_MEMORY);
	uint32_t seq = SEND(&c, program_build, 0, .program = 100);
	testclient_send(&c);
	CHECK_EQ(testclient_answer(&c, seq), CL_OUT_OF_HOST_MEMORY);
	testclient_connect(&other, path);
	testclient_hello(&other);
	SEND(&other, context_create, 0, .id = 1);
	CHECK_EQ(announce_program(&other, 10), CL_OUT_OF_HOST_MEMORY);
	SEND(&c, release, 0, .objects = WAITS(10));
	CHECK_EQ(announce_program(&c, 10), CL_SUCCESS);
	testclient_close(&c);
	int32_t status;
	for (int i = 0; (status = announce_program(&other, 11)) != CL_SUCCESS && i < 1000; i++) {
		SEND(&other, release, 0, .objects = WAITS(11));
		usleep(10000);
	}
	CHECK_EQ(status, CL_SUCCESS);
	testclient_close(&other);
}

static void out_of_bounds_is_an_error_not_a_write(void)
{
	struct testclient c;
	uint8_t bytes[8] = { 0 };

	testclient_connect(&c, path);
	testclient_prepare(&c, source);
	SEND(&c, buffer_create, 0, .id = 4, .context = 1, .size = 64);
	SEND(&c, write, 0, .queue = 2, .buffer = 4, .event = 5, .offset = 60, .size = 8,
		.bytes = BYTES(bytes, 8));
	SEND(&c, write, 0, .queue = 2, .buffer = 4, .event = 6, .offset = UINT64_MAX - 3, .size = 8,
		.bytes = BYTES(bytes, 8));
	SEND(&c, write_rect, 0, .queue = 2, .buffer = 4, .event = 7,
		.origin = { { 0, UINT64_MAX, 2 } }, .region = { { 2, 2, 2 } }, .row_pitch = 8,
		.slice_pitch = 1ULL << 63, .bytes = BYTES(bytes, 8));
	SEND(&c, copy, 0, .queue = 2, .from = 4, .to = 4, .event = 8, .to_offset = 60, .size = 8);
	SEND(&c, fill, 0, .queue = 2, .buffer = 4, .event = 9, .offset = 64, .size = 8,
		.pattern = BYTES(bytes, 8));
	testclient_send(&c);
	for (uint32_t event = 5; event <= 9; event++)
		CHECK_EQ(testclient_event(&c, event), CL_INVALID_VALUE);
	testclient_close(&c);
}

// ---- breaches: the session ends, the process and others go on

static void prepare_breach(struct testclient *c)
{
	testclient_connect(c, path);
	testclient_prepare(c, source);
	SEND(c, buffer_create, 0, .id = 4, .context = 1, .size = 64);
}

static void breaches_end_the_session_only(void)
{
	struct testclient c, other;

	testclient_connect(&other, path);
	testclient_prepare(&other, source);
	for (int which = 0; which < 9; which++) {
		prepare_breach(&c);
		switch (which) {
		case 0:
			buf_put(&c.out, "\1\0\0\0garbage", 11);
			break;
		case 1:
			SEND(&c, read, 0, .queue = 77, .buffer = 4, .size = 4);
			break;
		case 2:
			SEND(&c, read, 0, .queue = 4, .buffer = 2, .size = 4); // types swapped
			break;
		case 3:
			SEND(&c, buffer_create, 0, .id = 4, .context = 1, .size = 64);
			break;
		case 4:
			SEND(&c, buffer_create, 0, .id = PROTO_OBJECTS_MAX + 1, .context = 1);
			break;
		case 5:
			SEND(&c, data, 0, .stream = 999, .bytes = TEXT("x"));
			break;
		case 6:
			SEND(&c, release, 0, .objects = WAITS(4, 4));
			break;
		case 7:
			SEND(&c, user_event_set, 0, .event = 4, .status = 0);
			break;
		case 8:
			SEND(&c, launch, 0, .queue = 2, .kernel = 3, ONE_D(1));
			break;
		}
		testclient_send(&c);
		testclient_expect_end(&c);
		testclient_close(&c);
	}
	uint32_t seq = SEND(&other, finish, 0, .queue = 2);
	testclient_send(&other);
	CHECK_EQ(testclient_answer(&other, seq), CL_SUCCESS);
	testclient_close(&other);
}

static void truncation_anywhere_frees_the_session(void)
{
	struct testclient c, whole = { 0 };
	_cleanup_buf_ struct buf args = { 0 };

	SEND(&whole, hello, 0, .magic = PROTO_HELLO_MAGIC, .version = PROTO_VERSION);
	SEND(&whole, context_create, 0, .id = 1);
	SEND(&whole, queue_create, 0, .id = 2, .context = 1);
	SEND(&whole, buffer_create, 0, .id = 4, .context = 1, .size = 48 << 20);
	SEND(&whole, write, 0, .queue = 2, .buffer = 4, .size = 100, .bytes = BYTES("1234", 4));
	for (size_t n = 0; n <= whole.out.len; n += 7) {
		testclient_connect(&c, path);
		buf_put(&c.out, whole.out.data, n);
		testclient_send(&c);
		testclient_close(&c);
	}
	buf_free(&whole.out);
	// All that memory is free again.
	testclient_connect(&c, path);
	testclient_prepare(&c, source);
	uint32_t seq;
	int32_t status;
	int tries = 0;
	do {
		seq = SEND(&c, buffer_create, P_ANSWER, .id = 10 + (uint32_t)tries, .context = 1,
			.size = 60 << 20);
		testclient_send(&c);
		status = testclient_answer(&c, seq);
		usleep(1000);
	} while (status != CL_SUCCESS && ++tries < 1000);
	CHECK_EQ(status, CL_SUCCESS);
	testclient_close(&c);
}

static void a_second_hello_ends_the_first_session(void)
{
	struct testclient c;

	testclient_connect(&c, path);
	testclient_prepare(&c, source);
	SEND(&c, buffer_create, 0, .id = 4, .context = 1, .size = 48 << 20);
	testclient_prepare(&c, source);
	uint32_t seq = SEND(&c, buffer_create, P_ANSWER, .id = 4, .context = 1, .size = 48 << 20);
	testclient_send(&c);
	CHECK_EQ(testclient_answer(&c, seq), CL_SUCCESS);
	testclient_close(&c);
}

// Says hello as a process more than there may be; closes the connection where it is refused.
static int32_t try_hello(struct testclient *c)
{
	struct p_hello_host m;

	SEND(c, hello, 0, .magic = PROTO_HELLO_MAGIC, .version = PROTO_VERSION,
		.process = TEXT("one too many"));
	testclient_send(c);
	struct p_frame f = testclient_next(c);
	CHECK_EQ(p_get_hello_host(&f, &m), 0);
	if (m.status == CL_SUCCESS)
		return CL_SUCCESS;
	testclient_expect_end(c);
	testclient_close(c);
	return m.status;
}

// As many as it serves have their answers; the next is told why it has none.
static void too_many_programs_are_refused(void)
{
	static struct testclient c[VGPU_SESSIONS_MAX + 1];
	struct testclient *last = &c[VGPU_SESSIONS_MAX];

	for (int i = 0; i <= VGPU_SESSIONS_MAX; i++)
		testclient_connect(&c[i], path);
	for (int i = 0; i < VGPU_SESSIONS_MAX; i++)
		testclient_hello(&c[i]);
	CHECK_EQ(try_hello(last), CL_OUT_OF_RESOURCES);
	testclient_close(&c[0]);
	int32_t status = CL_OUT_OF_RESOURCES;
	for (int i = 0; status == CL_OUT_OF_RESOURCES && i < 1000; i++) {
		testclient_connect(last, path);
		status = try_hello(last);
		usleep(10000);
	}
	CHECK_EQ(status, CL_SUCCESS);
	for (int i = 1; i <= VGPU_SESSIONS_MAX; i++)
		testclient_close(&c[i]);
}

int main(int argc, char **argv)
{

	CHECK(argc == 2);
	pid_t pid = testclient_start(argv[1], NULL, path, sizeof path);
	RUN(the_build_answer_describes_the_kernels);
	RUN(pipelined_commands_give_the_right_bytes);
	RUN(large_writes_arrive_in_parts);
	RUN(rectangles_go_to_their_rows);
	RUN(a_user_event_holds_back_what_waits_for_it);
	RUN(a_failed_user_event_fails_its_waiters);
	RUN(an_out_of_order_queue_overtakes_but_not_barriers);
	RUN(memory_is_the_profiles);
	RUN(mistyped_arguments_fail_the_launch);
	RUN(local_memory_beyond_the_devices_fails_the_launch);
	RUN(the_texts_of_programs_have_a_quota);
	RUN(out_of_bounds_is_an_error_not_a_write);
	RUN(breaches_end_the_session_only);
	RUN(truncation_anywhere_frees_the_session);
	RUN(a_second_hello_ends_the_first_session);
	RUN(too_many_programs_are_refused);
	testclient_stop(pid, path);
}
