// SPDX-License-Identifier: Apache-2.0
// allocate MIB...: makes a buffer of each size, one after another, keeps them, and prints for each
// "ok" or the error's number. The sizes are what a profile must refuse or grant.
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	cl_platform_id platform;
	cl_device_id device;
	cl_ulong global = 0;
	cl_int err = clGetPlatformIDs(1, &platform, NULL);

	if (err != CL_SUCCESS || clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL)) {
		fprintf(stderr, "no OpenCL device: %d\n", err);
		return 2;
	}
	clGetDeviceInfo(device, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof global, &global, NULL);
	printf("memory %llu\n", (unsigned long long)global);
	cl_context context = clCreateContext(NULL, 1, &device, NULL, NULL, &err);
	cl_command_queue queue = clCreateCommandQueue(context, device, 0, &err);
	if (err != CL_SUCCESS)
		return 2;
	for (int i = 1; i < argc; i++) {
		size_t bytes = strtoul(argv[i], NULL, 10) << 20;
		unsigned char last = 7, back = 0;
		cl_mem buffer = clCreateBuffer(context, CL_MEM_READ_WRITE, bytes, NULL, &err);
		if (buffer) // an implementation may say it only now
			err = clEnqueueWriteBuffer(
				queue, buffer, CL_TRUE, bytes - 1, 1, &last, 0, NULL, NULL);
		if (err == CL_SUCCESS)
			err = clEnqueueReadBuffer(
				queue, buffer, CL_TRUE, bytes - 1, 1, &back, 0, NULL, NULL);
		if (err == CL_SUCCESS)
			printf("%s MiB %s\n", argv[i], back == last ? "ok" : "damaged");
		else
			printf("%s MiB %d\n", argv[i], err);
	}
	cl_uint units = 0;
	clGetDeviceInfo(device, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof units, &units, NULL);
	printf("units %u\n", units);
	return 0;
}
