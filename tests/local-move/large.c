// SPDX-License-Identifier: Apache-2.0
#include "program.h"

#define LARGE (64u << 20)
#define EVERY 24

void large_round(uint32_t round)
{
	static uint32_t got[LARGE / 4];
	cl_event read;

	if (round % EVERY != 1)
		return;
	cl_mem m = MADE(clCreateBuffer(context, CL_MEM_READ_WRITE, LARGE, NULL, &err));
	cl_kernel count = kernel("count");
	MUST(clSetKernelArg(count, 0, sizeof m, &m));
	MUST(clSetKernelArg(count, 1, sizeof round, &round));
	launch(queue, count, LARGE / 4, NULL, NULL);
	MUST(clEnqueueReadBuffer(queue, m, CL_FALSE, 0, LARGE, got, 0, NULL, &read));
	MUST(clReleaseMemObject(m));
	MUST(clReleaseKernel(count));
	MUST(clFlush(queue));
	MUST(clWaitForEvents(1, &read));
	MUST(clReleaseEvent(read));
	for (uint32_t i = 0; i < LARGE / 4; i++)
		HOLDS(got[i] == i * 2654435761u + round);
	fold(got[round]);
}
