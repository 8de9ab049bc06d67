// SPDX-License-Identifier: Apache-2.0
// What the parts of the program share: the device, and one number into which every result goes.
#pragma once

#ifndef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 120
#endif
#include <CL/cl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define N     (1u << 18)
#define BYTES (N * sizeof(uint32_t))

#define HOLDS(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);    \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)
#define MUST(call)                                                                                 \
	do {                                                                                       \
		cl_int err_ = (call);                                                              \
		if (err_ != CL_SUCCESS) {                                                          \
			fprintf(stderr, "%s:%d: %s: error %d\n", __FILE__, __LINE__, #call, err_); \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)
#define MADE(what)                                                                                 \
	({                                                                                         \
		cl_int err;                                                                        \
		__typeof__(what) made_ = what;                                                     \
		MUST(err);                                                                         \
		made_;                                                                             \
	})

extern cl_device_id device;
extern cl_context context;
extern cl_command_queue queue, side; // in order, with times; out of order
extern cl_program program;           // with all kernels

void fold(uint64_t v);
void fold_words(const uint32_t *words, size_t n);
cl_kernel kernel(const char *name);
cl_program source_program(const char *text); // not built
// One for each global item, behind *wait where that is not NULL.
void launch(cl_command_queue q, cl_kernel k, size_t global, const cl_event *wait, cl_event *ret);

// Images through samplers, a region of one mapped from one round to a later one.
void images_begin(void);
void images_round(uint32_t round);
// What is begun in one round and used in a later one: commands behind a user event, mapped regions,
// programs halfway to a kernel, a kernel with its arguments set, a sub-device.
void standing_begin(void);
void standing_round(uint32_t round);
void standing_end(void); // each callback came once
// Lists in shared virtual memory, walked by the device and the host; a region mapped, and commands that wait,
// from one round to a later one.
void svm_begin(void);
void svm_round(uint32_t round);
void svm_end(void);
// 64 MiB that a kernel has written, read in one command.
void large_round(uint32_t round);
