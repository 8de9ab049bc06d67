// SPDX-License-Identifier: Apache-2.0
// OpenCL 3.0, section 5.6: coarse-grained shared virtual memory. Host and device follow each other's
// pointers; every access of the host's is inside a map.
#define CL_TARGET_OPENCL_VERSION 300
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "api.h"

#define NODES 1000
#define WORDS 4096u
#define LARGE (12u << 20)

struct node {
	struct node *next;
	cl_long value;
};

static const char source[] =
	"typedef struct node { global struct node *next; long value; } node;\n"
	"kernel void walk(global node *n, global long *sum) {\n"
	"  for (; n; n = n->next) { *sum += n->value; n->value = n->value * 3 + 1; } }\n"
	"kernel void reverse(global node *global *head) {\n"
	"  global node *done = 0, *n = *head;\n"
	"  while (n) { global node *next = n->next; n->next = done; done = n; n = next; }\n"
	"  *head = done; }\n"
	"kernel void add(global uint *a, global const uint *b, uint k) {\n"
	"  size_t i = get_global_id(0); a[i] += (b ? b[i] : 1000u) + k; }\n"
	"kernel void follow(global uint *global *at) { size_t i = get_global_id(0); at[0][i] += "
	"at[1][i]; }\n";

static struct cl c;
static cl_program program;
static cl_int err;

static void *alloc(size_t n)
{
	void *at = clSVMAlloc(c.context, CL_MEM_READ_WRITE, n, 0);

	CHECK(at);
	CHECK_EQ((uintptr_t)at % 128, 0);
	return at;
}

static void map(void *at, size_t n, cl_map_flags flags)
{
	OK(clEnqueueSVMMap(c.queue, CL_TRUE, flags, at, n, 0, NULL, NULL));
}

static void unmap(void *at)
{
	OK(clEnqueueSVMUnmap(c.queue, at, 0, NULL, NULL));
}

static void launch(cl_kernel k, size_t n)
{
	OK(clEnqueueNDRangeKernel(c.queue, k, 1, NULL, &n, NULL, 0, NULL, NULL));
}

// Words that count up from `first`.
static uint32_t *counting(uint32_t first)
{
	uint32_t *at = alloc(WORDS * 4);

	map(at, WORDS * 4, CL_MAP_WRITE_INVALIDATE_REGION);
	for (uint32_t i = 0; i < WORDS; i++)
		at[i] = first + i;
	unmap(at);
	return at;
}

static void expect_counting(uint32_t *at, uint32_t first, uint32_t step)
{
	map(at, WORDS * 4, CL_MAP_READ);
	for (uint32_t i = 0; i < WORDS; i++)
		CHECK_EQ(at[i], first + i * step);
	unmap(at);
}

static void coarse_grained_buffers_are_there(void)
{
	cl_device_svm_capabilities can = 0;

	OK(clGetDeviceInfo(c.device, CL_DEVICE_SVM_CAPABILITIES, sizeof can, &can, NULL));
	CHECK(can & CL_DEVICE_SVM_COARSE_GRAIN_BUFFER);
}

// ---- pointers in memory

// Nodes of one list in turn from two allocations.
static void link_nodes(struct node *nodes[2])
{
	for (int i = 0; i < 2; i++)
		map(nodes[i], NODES * sizeof(struct node), CL_MAP_WRITE);
	for (int i = 0; i < 2 * NODES; i++) {
		struct node *n = &nodes[i % 2][i / 2];
		n->value = i;
		n->next = i + 1 < 2 * NODES ? &nodes[(i + 1) % 2][(i + 1) / 2] : NULL;
	}
	for (int i = 0; i < 2; i++)
		unmap(nodes[i]);
}

static void check_reversed(struct node *nodes[2], struct node *n)
{
	int i = 2 * NODES;

	for (int k = 0; k < 2; k++)
		map(nodes[k], NODES * sizeof(struct node), CL_MAP_READ);
	for (; n; n = n->next) {
		i--;
		CHECK(n == &nodes[i % 2][i / 2]);
		CHECK_EQ(n->value, 3 * i + 1);
	}
	CHECK_EQ(i, 0);
	for (int k = 0; k < 2; k++)
		unmap(nodes[k]);
}

static void a_list_is_walked_from_both_sides(void)
{
	struct node *nodes[2] = { alloc(NODES * sizeof(struct node)),
		alloc(NODES * sizeof(struct node)) };
	struct node **head = alloc(sizeof *head);
	cl_long *sum = alloc(sizeof *sum), zero = 0;
	cl_kernel walk = cl_kernel_of(program, "walk"), reverse = cl_kernel_of(program, "reverse");

	link_nodes(nodes);
	map(head, sizeof *head, CL_MAP_WRITE_INVALIDATE_REGION);
	*head = nodes[0];
	unmap(head);
	OK(clEnqueueSVMMemFill(c.queue, sum, &zero, sizeof zero, sizeof *sum, 0, NULL, NULL));
	OK(clSetKernelArgSVMPointer(walk, 0, nodes[0]));
	OK(clSetKernelArgSVMPointer(walk, 1, sum));
	OK(clSetKernelExecInfo(walk, CL_KERNEL_EXEC_INFO_SVM_PTRS, sizeof nodes, nodes));
	launch(walk, 1);
	OK(clSetKernelArgSVMPointer(reverse, 0, head));
	OK(clSetKernelExecInfo(reverse, CL_KERNEL_EXEC_INFO_SVM_PTRS, sizeof nodes, nodes));
	launch(reverse, 1);
	map(sum, sizeof *sum, CL_MAP_READ);
	CHECK_EQ(*sum, (cl_long)NODES * (2 * NODES - 1));
	unmap(sum);
	map(head, sizeof *head, CL_MAP_READ);
	check_reversed(nodes, *head);
	unmap(head);
	OK(clFinish(c.queue));
	clSVMFree(c.context, nodes[0]);
	clSVMFree(c.context, nodes[1]);
	clSVMFree(c.context, head);
	clSVMFree(c.context, sum);
	OK(clReleaseKernel(walk));
	OK(clReleaseKernel(reverse));
}

// ---- arguments

static void set_add(cl_kernel k, void *a, void *b, cl_uint n)
{
	OK(clSetKernelArgSVMPointer(k, 0, a));
	OK(clSetKernelArgSVMPointer(k, 1, b));
	OK(clSetKernelArg(k, 2, sizeof n, &n));
}

static void arguments_point_anywhere_or_nowhere(void)
{
	uint32_t *a = counting(0), *b = counting(0);
	cl_kernel k = cl_kernel_of(program, "add");

	set_add(k, a, b, 0);
	launch(k, WORDS); // 2 i
	set_add(k, a + 3, b + 3, 0);
	launch(k, WORDS - 3); // 3 i, from the third on
	set_add(k, a, b, 0);
	launch(k, 3);
	set_add(k, a, NULL, 7);
	launch(k, WORDS);
	expect_counting(a, 1007, 3);
	OK(clFinish(c.queue));
	clSVMFree(c.context, a);
	clSVMFree(c.context, b);
	OK(clReleaseKernel(k));
}

// A buffer in an argument's place, and back.
static void arguments_change_their_kind(void)
{
	uint32_t *a = counting(5), *b = counting(0);
	cl_mem m = cl_buffer(&c, CL_MEM_READ_WRITE, WORDS * 4, NULL);
	cl_kernel k = cl_kernel_of(program, "add");
	cl_uint zero = 0, got[WORDS];

	OK(clEnqueueFillBuffer(c.queue, m, &zero, 4, 0, WORDS * 4, 0, NULL, NULL));
	set_add(k, a, b, 0);
	OK(clSetKernelArg(k, 0, sizeof m, &m));
	launch(k, WORDS);
	OK(clSetKernelArgSVMPointer(k, 0, a));
	OK(clSetKernelArg(k, 1, sizeof m, &m));
	launch(k, WORDS);
	OK(clEnqueueReadBuffer(c.queue, m, CL_TRUE, 0, sizeof got, got, 0, NULL, NULL));
	for (uint32_t i = 0; i < WORDS; i++)
		CHECK_EQ(got[i], i);
	expect_counting(a, 5, 2);
	OK(clFinish(c.queue));
	clSVMFree(c.context, a);
	clSVMFree(c.context, b);
	OK(clReleaseMemObject(m));
	OK(clReleaseKernel(k));
}

static void clones_have_pointers_and_what_they_reach(void)
{
	uint32_t *a = counting(0), *b = counting(0), **both = alloc(2 * sizeof *both);
	void *reached[] = { a, b };
	cl_kernel k = cl_kernel_of(program, "follow");

	map(both, 2 * sizeof *both, CL_MAP_WRITE_INVALIDATE_REGION);
	both[0] = a;
	both[1] = b;
	unmap(both);
	OK(clSetKernelArgSVMPointer(k, 0, both));
	OK(clSetKernelExecInfo(k, CL_KERNEL_EXEC_INFO_SVM_PTRS, sizeof reached, reached));
	cl_kernel clone = clCloneKernel(k, &err);
	OK(err);
	OK(clReleaseKernel(k));
	launch(clone, WORDS);
	expect_counting(a, 0, 2);
	OK(clSetKernelExecInfo(clone, CL_KERNEL_EXEC_INFO_SVM_PTRS, sizeof reached[0], reached));
	launch(clone, WORDS);
	expect_counting(a, 0, 3);
	OK(clFinish(c.queue));
	clSVMFree(c.context, a);
	clSVMFree(c.context, b);
	clSVMFree(c.context, both);
	OK(clReleaseKernel(clone));
}

// ---- commands

static void parts_are_mapped_by_themselves(void)
{
	uint32_t *a = counting(0);
	cl_event e;

	map(a + 100, 50 * 4, CL_MAP_READ | CL_MAP_WRITE);
	map(a + 1000, 50 * 4, CL_MAP_WRITE);
	for (int i = 0; i < 50; i++) {
		CHECK_EQ(a[100 + i], 100 + i);
		a[100 + i] = a[1000 + i] = 9;
	}
	unmap(a + 1000);
	unmap(a + 100);
	OK(clEnqueueSVMMap(c.queue, CL_FALSE, CL_MAP_READ, a, WORDS * 4, 0, NULL, &e));
	OK(clWaitForEvents(1, &e));
	for (uint32_t i = 0; i < WORDS; i++) {
		bool changed = (i >= 100 && i < 150) || (i >= 1000 && i < 1050);
		CHECK_EQ(a[i], changed ? 9 : i);
	}
	OK(clReleaseEvent(e));
	unmap(a);
	OK(clFinish(c.queue));
	clSVMFree(c.context, a);
}

static void copies_go_every_way(void)
{
	static uint32_t in[WORDS], out[WORDS], again[WORDS];
	uint32_t *a = alloc(sizeof in), *b = alloc(sizeof in);

	for (uint32_t i = 0; i < WORDS; i++)
		in[i] = i * 5 + 1;
	OK(clEnqueueSVMMemcpy(c.queue, CL_TRUE, a, in, sizeof in, 0, NULL, NULL));
	OK(clEnqueueSVMMemcpy(c.queue, CL_FALSE, b + 1, a, sizeof in - 4, 0, NULL, NULL));
	OK(clEnqueueSVMMemcpy(c.queue, CL_FALSE, b, a + 7, 4, 0, NULL, NULL));
	OK(clEnqueueSVMMemcpy(c.queue, CL_TRUE, out, b, sizeof in, 0, NULL, NULL));
	CHECK_EQ(out[0], in[7]);
	CHECK(!memcmp(out + 1, in, sizeof in - 4));
	OK(clEnqueueSVMMemcpy(c.queue, CL_TRUE, again, out, sizeof in, 0, NULL, NULL));
	CHECK(!memcmp(again, out, sizeof in));
	OK(clEnqueueSVMMemcpy(c.queue, CL_TRUE, a, a + WORDS / 2, sizeof in / 2, 0, NULL, NULL));
	OK(clEnqueueSVMMemcpy(c.queue, CL_TRUE, out, a, sizeof in, 0, NULL, NULL));
	CHECK(!memcmp(out, in + WORDS / 2, sizeof in / 2));
	CHECK(!memcmp(out + WORDS / 2, in + WORDS / 2, sizeof in / 2));
	clSVMFree(c.context, a);
	clSVMFree(c.context, b);
}

static cl_command_type type_of(cl_event e)
{
	cl_command_type type;

	OK(clGetEventInfo(e, CL_EVENT_COMMAND_TYPE, sizeof type, &type, NULL));
	return type;
}

// Nothing runs before its wait list allows it, in a queue without an order.
static void events_order_commands(void)
{
	static uint32_t out[WORDS];
	uint32_t *a = counting(0), pattern = 77;
	const void *migrated[] = { a, a + 5 };
	const cl_command_type types[] = { CL_COMMAND_SVM_MEMFILL, CL_COMMAND_SVM_MIGRATE_MEM,
		CL_COMMAND_SVM_MAP, CL_COMMAND_SVM_UNMAP, CL_COMMAND_SVM_MEMCPY };
	cl_event gate = clCreateUserEvent(c.context, &err), e[5];
	cl_command_queue q = clCreateCommandQueue(
		c.context, c.device, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &err);

	OK(err);
	OK(clEnqueueSVMMemFill(q, a, &pattern, 4, WORDS * 4, 1, &gate, &e[0]));
	OK(clEnqueueSVMMigrateMem(q, 2, migrated, (size_t[]){ 0, 8 }, 0, 1, &e[0], &e[1]));
	OK(clEnqueueSVMMap(q, CL_FALSE, CL_MAP_READ | CL_MAP_WRITE, a, WORDS * 4, 1, &e[1], &e[2]));
	OK(clFlush(q));
	OK(clSetUserEventStatus(gate, CL_COMPLETE));
	OK(clWaitForEvents(1, &e[2]));
	CHECK_EQ(a[WORDS - 1], 77);
	a[WORDS - 1] = 78;
	OK(clEnqueueSVMUnmap(q, a, 0, NULL, &e[3]));
	OK(clEnqueueSVMMemcpy(q, CL_TRUE, out, a, sizeof out, 1, &e[3], &e[4]));
	CHECK_EQ(out[0], 77);
	CHECK_EQ(out[WORDS - 1], 78);
	for (int i = 0; i < 5; i++) {
		CHECK_EQ(type_of(e[i]), types[i]);
		OK(clReleaseEvent(e[i]));
	}
	OK(clReleaseEvent(gate));
	OK(clReleaseCommandQueue(q));
	clSVMFree(c.context, a);
}

// Longer than what may be under way at once, also behind an event that this thread has to set.
static void large_ones_go_through(void)
{
	uint8_t *a = alloc(LARGE), *b = alloc(LARGE), *plain = malloc(LARGE);
	cl_event gate = clCreateUserEvent(c.context, &err), e;

	OK(err);
	map(a, LARGE, CL_MAP_WRITE_INVALIDATE_REGION);
	for (size_t i = 0; i < LARGE; i++)
		a[i] = (uint8_t)(i * 7 + (i >> 12));
	unmap(a);
	OK(clEnqueueSVMMemcpy(c.queue, CL_TRUE, plain, a, LARGE, 0, NULL, NULL));
	OK(clEnqueueSVMMemcpy(c.queue, CL_FALSE, b, plain, LARGE, 1, &gate, &e));
	OK(clFlush(c.queue));
	OK(clSetUserEventStatus(gate, CL_COMPLETE));
	map(b, LARGE, CL_MAP_READ);
	for (size_t i = 0; i < LARGE; i++)
		if (b[i] != (uint8_t)(i * 7 + (i >> 12)))
			CHECK_EQ(i, LARGE);
	unmap(b);
	OK(clFinish(c.queue));
	OK(clReleaseEvent(gate));
	OK(clReleaseEvent(e));
	clSVMFree(c.context, a);
	clSVMFree(c.context, b);
	free(plain);
}

// ---- freeing

static int freed;

static void CL_CALLBACK free_them(cl_command_queue q, cl_uint n, void *pointers[], void *data)
{
	CHECK(q == c.queue);
	CHECK(data == &freed);
	for (cl_uint i = 0; i < n; i++)
		clSVMFree(c.context, pointers[i]);
	__atomic_store_n(&freed, (int)n, __ATOMIC_RELEASE);
}

static void queues_free_in_their_order(void)
{
	uint32_t *a = counting(0), *b = counting(0), out[4];
	void *pointers[] = { a, b };
	cl_event gate = clCreateUserEvent(c.context, &err), e;
	cl_int status;

	OK(err);
	OK(clEnqueueSVMMemcpy(c.queue, CL_FALSE, out, a + 9, sizeof out, 1, &gate, NULL));
	OK(clEnqueueSVMFree(c.queue, 2, pointers, free_them, &freed, 0, NULL, &e));
	memset(pointers, 0, sizeof pointers);
	CHECK_EQ(type_of(e), CL_COMMAND_SVM_FREE);
	OK(clGetEventInfo(e, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL));
	CHECK(status > CL_COMPLETE);
	CHECK_EQ(__atomic_load_n(&freed, __ATOMIC_ACQUIRE), 0);
	OK(clSetUserEventStatus(gate, CL_COMPLETE));
	OK(clFinish(c.queue));
	CHECK_EQ(out[3], 12);
	CHECK_EQ(__atomic_load_n(&freed, __ATOMIC_ACQUIRE), 2);
	OK(clReleaseEvent(gate));
	OK(clReleaseEvent(e));
}

// Far more in turn than fits at once.
static void what_is_freed_is_free(void)
{
	for (int i = 0; i < 40; i++) {
		void *at = alloc(LARGE);
		OK(clEnqueueSVMMemFill(c.queue, at, &i, sizeof i, LARGE, 0, NULL, NULL));
		if (i % 2) {
			OK(clEnqueueSVMFree(c.queue, 1, &at, NULL, NULL, 0, NULL, NULL));
		} else {
			OK(clFinish(c.queue));
			clSVMFree(c.context, at);
		}
	}
	OK(clFinish(c.queue));
	clSVMFree(c.context, NULL);
}

// ---- buffers over it

static cl_mem over(void *at, size_t n)
{
	return cl_buffer(&c, CL_MEM_USE_HOST_PTR, n, at);
}

static void a_buffer_over_it_is_the_same_memory(void)
{
	uint32_t *a = counting(0), got[8];
	cl_mem m = over(a, WORDS * 4);
	cl_buffer_region region = { 1024, 2048 };
	cl_bool uses = CL_FALSE;
	void *host_ptr;

	OK(clGetMemObjectInfo(m, CL_MEM_USES_SVM_POINTER, sizeof uses, &uses, NULL));
	CHECK_EQ(uses, CL_TRUE);
	OK(clGetMemObjectInfo(m, CL_MEM_HOST_PTR, sizeof host_ptr, &host_ptr, NULL));
	CHECK(host_ptr == a);
	cl_mem sub = clCreateSubBuffer(
		m, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &region, &err);
	OK(err);
	OK(clEnqueueReadBuffer(c.queue, sub, CL_TRUE, 4, sizeof got, got, 0, NULL, NULL));
	CHECK_EQ(got[0], 257);
	OK(clEnqueueFillBuffer(c.queue, sub, &uses, 4, 0, 2048, 0, NULL, NULL));
	uint32_t *mapped = clEnqueueMapBuffer(
		c.queue, m, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0, WORDS * 4, 0, NULL, NULL, &err);
	OK(err);
	CHECK(mapped == a);
	for (uint32_t i = 0; i < WORDS; i++) {
		CHECK_EQ(a[i], i >= 256 && i < 768 ? 1 : i);
		a[i] = i;
	}
	OK(clEnqueueUnmapMemObject(c.queue, m, mapped, 0, NULL, NULL));
	expect_counting(a, 0, 1);
	OK(clReleaseMemObject(sub));
	OK(clReleaseMemObject(m));
	OK(clFinish(c.queue));
	clSVMFree(c.context, a);
}

static void kernels_take_buffers_over_parts(void)
{
	uint32_t *a = counting(0), *b = counting(0);
	cl_mem m = over(a + 32, 64 * 4), n = over(b + 32, 64 * 4);
	cl_kernel k = cl_kernel_of(program, "add");
	cl_uint zero = 0;

	OK(clSetKernelArg(k, 0, sizeof m, &m));
	OK(clSetKernelArg(k, 1, sizeof n, &n));
	OK(clSetKernelArg(k, 2, sizeof zero, &zero));
	launch(k, 64);
	map(a, WORDS * 4, CL_MAP_READ);
	for (uint32_t i = 0; i < WORDS; i++)
		CHECK_EQ(a[i], i >= 32 && i < 96 ? 2 * i : i);
	unmap(a);
	OK(clFinish(c.queue));
	OK(clReleaseMemObject(m));
	OK(clReleaseMemObject(n));
	OK(clReleaseKernel(k));
	clSVMFree(c.context, a);
	clSVMFree(c.context, b);
}

// ---- misuse

static void misuse_is_refused(void)
{
	uint32_t *a = counting(0), pattern = 0;
	void *none = NULL;
	cl_kernel k = cl_kernel_of(program, "add");

	CHECK(!clSVMAlloc(NULL, CL_MEM_READ_WRITE, 64, 0));
	CHECK(!clSVMAlloc(c.context, CL_MEM_READ_WRITE, 0, 0));
	CHECK(!clSVMAlloc(c.context, CL_MEM_READ_WRITE, 64, 3));
	CHECK(!clSVMAlloc(c.context, CL_MEM_READ_WRITE, 64, 1u << 20));
	CHECK(!clSVMAlloc(c.context, CL_MEM_READ_ONLY | CL_MEM_WRITE_ONLY, 64, 0));
	CHECK(!clSVMAlloc(c.context, CL_MEM_SVM_ATOMICS, 64, 0));
	CHECK(!clSVMAlloc(c.context, CL_MEM_READ_WRITE, SIZE_MAX, 0));
	clCreateBuffer(c.context, CL_MEM_USE_HOST_PTR, WORDS * 4 + 1, a, &err);
	CHECK_EQ(err, CL_INVALID_BUFFER_SIZE);
	CHECK_EQ(clEnqueueSVMMap(NULL, CL_TRUE, CL_MAP_READ, a, 4, 0, NULL, NULL),
		CL_INVALID_COMMAND_QUEUE);
	CHECK_EQ(clEnqueueSVMMap(c.queue, CL_TRUE, CL_MAP_READ, NULL, 4, 0, NULL, NULL),
		CL_INVALID_VALUE);
	CHECK_EQ(clEnqueueSVMMap(c.queue, CL_TRUE, CL_MAP_READ, a, 0, 0, NULL, NULL),
		CL_INVALID_VALUE);
	CHECK_EQ(clEnqueueSVMUnmap(c.queue, NULL, 0, NULL, NULL), CL_INVALID_VALUE);
	CHECK_EQ(clEnqueueSVMMemcpy(c.queue, CL_TRUE, a, NULL, 4, 0, NULL, NULL), CL_INVALID_VALUE);
	CHECK_EQ(clEnqueueSVMMemcpy(c.queue, CL_TRUE, NULL, a, 4, 0, NULL, NULL), CL_INVALID_VALUE);
	CHECK_EQ(clEnqueueSVMMemcpy(c.queue, CL_TRUE, a + 1, a, 8, 0, NULL, NULL),
		CL_MEM_COPY_OVERLAP);
	CHECK_EQ(clEnqueueSVMMemFill(c.queue, a, &pattern, 3, 12, 0, NULL, NULL), CL_INVALID_VALUE);
	CHECK_EQ(clEnqueueSVMMemFill(c.queue, a, &pattern, 4, 6, 0, NULL, NULL), CL_INVALID_VALUE);
	CHECK_EQ(clEnqueueSVMFree(c.queue, 0, &none, NULL, NULL, 0, NULL, NULL), CL_INVALID_VALUE);
	CHECK_EQ(clEnqueueSVMFree(c.queue, 1, NULL, NULL, NULL, 0, NULL, NULL), CL_INVALID_VALUE);
	CHECK_EQ(
		clEnqueueSVMMigrateMem(c.queue, 0, NULL, NULL, 0, 0, NULL, NULL), CL_INVALID_VALUE);
	CHECK_EQ(clSetKernelArgSVMPointer(NULL, 0, a), CL_INVALID_KERNEL);
	CHECK_EQ(clSetKernelArgSVMPointer(k, 9, a), CL_INVALID_ARG_INDEX);
	CHECK_EQ(clSetKernelExecInfo(NULL, CL_KERNEL_EXEC_INFO_SVM_PTRS, sizeof none, &none),
		CL_INVALID_KERNEL);
	OK(clReleaseKernel(k));
	OK(clFinish(c.queue));
	clSVMFree(c.context, a);
}

int main(void)
{
	c = cl_setup();
	program = cl_build(&c, source);
	RUN(coarse_grained_buffers_are_there);
	RUN(a_list_is_walked_from_both_sides);
	RUN(arguments_point_anywhere_or_nowhere);
	RUN(arguments_change_their_kind);
	RUN(clones_have_pointers_and_what_they_reach);
	RUN(parts_are_mapped_by_themselves);
	RUN(copies_go_every_way);
	RUN(events_order_commands);
	RUN(large_ones_go_through);
	RUN(queues_free_in_their_order);
	RUN(what_is_freed_is_free);
	RUN(a_buffer_over_it_is_the_same_memory);
	RUN(kernels_take_buffers_over_parts);
	RUN(misuse_is_refused);
	OK(clReleaseProgram(program));
	cl_teardown(&c);
}
