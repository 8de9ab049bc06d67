// SPDX-License-Identifier: Apache-2.0
#define CL_TARGET_OPENCL_VERSION 300
#include "program.h"

#include <stdatomic.h>
#include <stdbool.h>

#define NODES  4096u
#define WORDS  8192u
#define PERIOD 7 // rounds that a region stays mapped, and that commands wait

struct node {
	struct node *next;
	uint64_t value;
};

static const char source[] =
	"typedef struct node { global struct node *next; ulong value; } node;\n"
	"kernel void walk(global node *global *head, global ulong *sum, uint k) {\n"
	"  *sum = k;\n"
	"  for (global node *n = *head; n; n = n->next)\n"
	"    *sum = *sum * 31 + (n->value = n->value * 6364136223846793005ul + k); }\n"
	"kernel void reverse(global node *global *head) {\n"
	"  global node *done = 0, *n = *head;\n"
	"  while (n) { global node *next = n->next; n->next = done; done = n; n = next; }\n"
	"  *head = done; }\n"
	"kernel void stir(global uint *a, uint k) {\n"
	"  size_t i = get_global_id(0); a[i] = a[i] * 2654435761u + k; }\n";

static struct node *nodes, **head;
static uint64_t *sum;
static uint32_t *held; // mapped from one round to a later one
static cl_kernel walk, reverse, stir;
static cl_command_queue waiting; // out of order
static cl_event gate;            // NULL: nothing waits
static uint32_t waited[WORDS];
static bool mapped;
static atomic_uint freed;
static unsigned expected; // to be freed by a callback

static void *alloc(size_t n)
{
	void *at = clSVMAlloc(context, CL_MEM_READ_WRITE, n, 0);

	HOLDS(at);
	return at;
}

static void map(void *at, size_t n, cl_map_flags flags)
{
	MUST(clEnqueueSVMMap(queue, CL_TRUE, flags, at, n, 0, NULL, NULL));
}

static void unmap(void *at)
{
	MUST(clEnqueueSVMUnmap(queue, at, 0, NULL, NULL));
}

// Each node's successor is far away, and on another page.
static void link_nodes(void)
{
	map(nodes, NODES * sizeof *nodes, CL_MAP_WRITE_INVALIDATE_REGION);
	for (uint32_t i = 0; i < NODES; i++) {
		uint32_t after = (i * 1365u + 1) % NODES; // comes to all of them (Hull, Dobell)
		nodes[i] = (struct node){ after ? &nodes[after] : NULL, i };
	}
	unmap(nodes);
	map(head, sizeof *head, CL_MAP_WRITE_INVALIDATE_REGION);
	*head = nodes;
	unmap(head);
}

// The arguments but for a number are set once, and what they reach.
static void make_kernels(void)
{
	cl_program p = source_program(source);
	void *reached[] = { nodes };

	MUST(clBuildProgram(p, 1, &device, "", NULL, NULL));
	walk = MADE(clCreateKernel(p, "walk", &err));
	reverse = MADE(clCreateKernel(p, "reverse", &err));
	stir = MADE(clCreateKernel(p, "stir", &err));
	MUST(clReleaseProgram(p));
	MUST(clSetKernelArgSVMPointer(walk, 0, head));
	MUST(clSetKernelArgSVMPointer(walk, 1, sum + 5));
	MUST(clSetKernelArgSVMPointer(reverse, 0, head));
	MUST(clSetKernelExecInfo(walk, CL_KERNEL_EXEC_INFO_SVM_PTRS, sizeof reached, reached));
	MUST(clSetKernelExecInfo(reverse, CL_KERNEL_EXEC_INFO_SVM_PTRS, sizeof reached, reached));
}

void svm_begin(void)
{
	const cl_queue_properties unordered[] = { CL_QUEUE_PROPERTIES,
		CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, 0 };

	nodes = alloc(NODES * sizeof *nodes);
	head = alloc(sizeof *head);
	sum = alloc(8 * sizeof *sum);
	held = alloc(WORDS * sizeof *held);
	waiting = MADE(clCreateCommandQueueWithProperties(context, device, unordered, &err));
	MUST(clEnqueueSVMMemFill(queue, held, "ferry", 4, WORDS * sizeof *held, 0, NULL, NULL));
	make_kernels();
	link_nodes();
}

static void walk_list(uint32_t round)
{
	uint64_t got;

	MUST(clSetKernelArg(walk, 2, sizeof round, &round));
	launch(queue, walk, 1, NULL, NULL);
	MUST(clEnqueueSVMMemcpy(queue, CL_TRUE, &got, sum + 5, sizeof got, 0, NULL, NULL));
	fold(got);
}

static void follow_list(void)
{
	map(head, sizeof *head, CL_MAP_READ);
	map(nodes, NODES * sizeof *nodes, CL_MAP_READ);
	uint32_t n = 0;
	for (const struct node *at = *head; at; at = at->next, n++)
		fold(at->value ^ (uint64_t)(at - nodes));
	HOLDS(n == NODES);
	unmap(nodes);
	unmap(head);
}

static void begin_mapped(void)
{
	map(held, WORDS * sizeof *held / 2, CL_MAP_READ | CL_MAP_WRITE);
	mapped = true;
}

static void end_mapped(uint32_t round)
{
	static uint32_t got[WORDS];

	for (uint32_t i = 0; i < WORDS / 2; i++)
		held[i] ^= round * i;
	unmap(held);
	mapped = false;
	MUST(clSetKernelArgSVMPointer(stir, 0, held + 3));
	MUST(clSetKernelArg(stir, 1, sizeof round, &round));
	launch(queue, stir, WORDS - 3, NULL, NULL);
	MUST(clEnqueueSVMMemcpy(queue, CL_TRUE, got, held, sizeof got, 0, NULL, NULL));
	fold_words(got, WORDS);
}

static void CL_CALLBACK on_free(cl_command_queue q, cl_uint n, void *pointers[], void *data)
{
	for (cl_uint i = 0; i < n; i++)
		clSVMFree(context, pointers[i]);
	atomic_fetch_add(&freed, n);
}

// Nothing of it can start: its memory is filled, stirred, read and freed once the gate is open.
static void begin_waiting(uint32_t round)
{
	uint32_t *at = alloc(sizeof waited);
	void *pointers[] = { at };
	cl_event filled, stirred, copied;
	cl_kernel own = MADE(clCloneKernel(stir, &err));

	gate = MADE(clCreateUserEvent(context, &err));
	MUST(clEnqueueSVMMemFill(waiting, at, &round, 4, sizeof waited, 1, &gate, &filled));
	MUST(clSetKernelArgSVMPointer(own, 0, at + 1));
	MUST(clSetKernelArg(own, 1, sizeof round, &round));
	launch(waiting, own, WORDS - 2, &filled, &stirred);
	MUST(clEnqueueSVMMemcpy(
		waiting, CL_FALSE, waited, at, sizeof waited, 1, &stirred, &copied));
	MUST(clEnqueueSVMFree(waiting, 1, pointers, on_free, NULL, 1, &copied, NULL));
	MUST(clFlush(waiting));
	MUST(clReleaseKernel(own));
	MUST(clReleaseEvent(filled));
	MUST(clReleaseEvent(stirred));
	MUST(clReleaseEvent(copied));
	expected++;
}

static void end_waiting(void)
{
	MUST(clSetUserEventStatus(gate, CL_COMPLETE));
	MUST(clFinish(waiting));
	MUST(clReleaseEvent(gate));
	gate = NULL;
	fold_words(waited, WORDS);
	HOLDS(atomic_load(&freed) == expected);
}

void svm_round(uint32_t round)
{
	walk_list(round);
	switch (round % PERIOD) {
	case 0:
		begin_mapped();
		return;
	case 1:
		begin_waiting(round);
		return;
	case 3:
		launch(queue, reverse, 1, NULL, NULL);
		follow_list();
		return;
	case PERIOD - 2:
		end_waiting();
		return;
	case PERIOD - 1:
		end_mapped(round);
		return;
	}
}

void svm_end(void)
{
	if (gate)
		end_waiting();
	if (mapped)
		end_mapped(1);
	follow_list();
	MUST(clFinish(queue));
	clSVMFree(context, nodes);
	clSVMFree(context, head);
	clSVMFree(context, sum);
	clSVMFree(context, held);
}
