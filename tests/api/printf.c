// SPDX-License-Identifier: Apache-2.0
// OpenCL C 1.2, section 6.12.13: what kernels print reaches the program's standard output, whole, in
// order, and before the program hears that the kernel is over. Run twice at once, a line that went to
// the wrong one would show in both.
#include "api.h"

#include <unistd.h>

static struct cl c;

static void say(const char *text)
{
	CHECK(write(STDOUT_FILENO, text, strlen(text)) == (ssize_t)strlen(text));
}

static void launch(cl_kernel k, size_t n)
{
	OK(clEnqueueNDRangeKernel(c.queue, k, 1, NULL, &n, NULL, 0, NULL, NULL));
}

int main(void)
{
	c = cl_setup();
	cl_program p = cl_build(&c,
		"kernel void hello(int n)\n"
		"{ for (int i = 0; i < n; i++) printf(\"line %d of %d: %s %5.2f %v4hld\\n\", i, n,"
		" \"text\", i / 4.0f, (int4)(i, 1, 2, 3)); }\n"
		"kernel void quiet(global int *a) { a[0] = 1; }");
	cl_kernel hello = cl_kernel_of(p, "hello"), quiet = cl_kernel_of(p, "quiet");
	cl_mem m = cl_buffer(&c, CL_MEM_READ_WRITE, 4, NULL);

	OK(clSetKernelArg(quiet, 0, sizeof m, &m));
	for (int n = 1; n <= 2000; n *= 10) {
		OK(clSetKernelArg(hello, 0, sizeof n, &n));
		say("before\n");
		launch(hello, 1);
		launch(quiet, 1);
		OK(clFinish(c.queue));
		say("after\n");
	}
	OK(clReleaseMemObject(m));
	OK(clReleaseKernel(hello));
	OK(clReleaseKernel(quiet));
	OK(clReleaseProgram(p));
	cl_teardown(&c);
}
