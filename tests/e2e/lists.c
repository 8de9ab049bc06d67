// SPDX-License-Identifier: Apache-2.0
// The case of pattern.c with pointers in memory: a list in shared virtual memory that the host links once, a
// kernel walks and changes in each step, and the host walks at the end. Node i's value goes one step of the
// generator further each time. A second allocation stays mapped until the end. Plain OpenCL; knows
// nothing of Ferry.
//
// usage: lists [--idle-us N]
// Prints "step N" ten times a second at most; at SIGTERM "lists ok N", or what is wrong.
#define CL_TARGET_OPENCL_VERSION 300
#include "workload.h"

#define NODES  8192u
#define MAPPED (1u << 20)

static const char source[] =
	"typedef struct node { global struct node *next; uint value; } node;\n"
	"kernel void walk(global node *n) {\n"
	"  for (; n; n = n->next) n->value = n->value * 1664525u + 1013904223u; }\n";

struct node {
	struct node *next;
	cl_uint value;
};

struct scene {
	cl_context context;
	cl_command_queue queue;
	cl_kernel walk; // its argument is set once
	struct node *nodes;
	uint8_t *mapped;
};

static void *alloc(struct scene *s, size_t n)
{
	void *at = clSVMAlloc(s->context, CL_MEM_READ_WRITE, n, 0);

	must(at ? CL_SUCCESS : CL_OUT_OF_RESOURCES, "clSVMAlloc");
	return at;
}

static void map(struct scene *s, void *at, size_t n, cl_map_flags flags)
{
	must(clEnqueueSVMMap(s->queue, CL_TRUE, flags, at, n, 0, NULL, NULL), "clEnqueueSVMMap");
}

static void unmap(struct scene *s, void *at)
{
	must(clEnqueueSVMUnmap(s->queue, at, 0, NULL, NULL), "clEnqueueSVMUnmap");
}

// Each successor is on another page.
static void link_nodes(struct scene *s)
{
	map(s, s->nodes, NODES * sizeof *s->nodes, CL_MAP_WRITE);
	for (cl_uint i = 0; i < NODES; i++) {
		cl_uint after = (i * 1365u + 1) % NODES; // comes to all of them (Hull, Dobell)
		s->nodes[i] = (struct node){ after ? &s->nodes[after] : NULL, i };
	}
	unmap(s, s->nodes);
}

static void set_up(struct scene *s)
{
	cl_device_id id = workload_begin(&s->context, &s->queue);

	s->walk = workload_kernel(workload_program(s->context, id, source), "walk");
	s->nodes = alloc(s, NODES * sizeof *s->nodes);
	s->mapped = alloc(s, MAPPED);
	link_nodes(s);
	must(clSetKernelArgSVMPointer(s->walk, 0, s->nodes), "clSetKernelArgSVMPointer");
	must(clEnqueueSVMMemFill(s->queue, s->mapped, "\7", 1, MAPPED, 0, NULL, NULL),
		"clEnqueueSVMMemFill");
	map(s, s->mapped, MAPPED, CL_MAP_READ | CL_MAP_WRITE);
}

static void step(void *arg, uint64_t n)
{
	const struct scene *s = arg;
	const size_t one = 1;

	must(clEnqueueNDRangeKernel(s->queue, s->walk, 1, NULL, &one, NULL, 0, NULL, NULL), "step");
	must(clFinish(s->queue), "clFinish");
}

static int verify_list(struct scene *s, uint64_t steps)
{
	cl_uint a, c, n = 0;

	workload_power(steps, &a, &c);
	map(s, s->nodes, NODES * sizeof *s->nodes, CL_MAP_READ);
	for (const struct node *at = s->nodes; at; at = at->next, n++) {
		if (at->value == (cl_uint)(at - s->nodes) * a + c)
			continue;
		printf("lists bad node %zu\n", (size_t)(at - s->nodes));
		return 1;
	}
	if (n != NODES)
		printf("lists bad length %u\n", n);
	return n != NODES;
}

// What was mapped before any move is what was filled; what is written to it now arrives.
static int verify_mapped(struct scene *s)
{
	static uint8_t got[MAPPED];
	size_t bad = 0;

	for (size_t i = 0; i < MAPPED; i++) {
		bad += s->mapped[i] != 7;
		s->mapped[i] = (uint8_t)(i * 31);
	}
	unmap(s, s->mapped);
	must(clEnqueueSVMMemcpy(s->queue, CL_TRUE, got, s->mapped, MAPPED, 0, NULL, NULL),
		"clEnqueueSVMMemcpy");
	for (size_t i = 0; i < MAPPED; i++)
		bad += got[i] != (uint8_t)(i * 31);
	if (bad)
		printf("lists bad bytes %zu\n", bad);
	return bad != 0;
}

int main(int argc, char **argv)
{
	struct scene s = { 0 };

	set_up(&s);
	uint64_t steps = workload_run(argc, argv, step, &s);
	if (verify_list(&s, steps) || verify_mapped(&s))
		return 1;
	printf("lists ok %llu\n", (unsigned long long)steps);
	return 0;
}
