// SPDX-License-Identifier: Apache-2.0
// One OpenCL device with a context and an in-order queue. Knows no model.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "failure.h"

#define GPU_MAX_BUFFER (2ull << 30) // no buffer is larger, whatever the device allows

struct gpu {
	cl_device_id device;
	cl_context context;
	cl_command_queue queue;
	uint64_t max_buffer; // bytes: the lower of the device's limit and GPU_MAX_BUFFER
	bool cpu;            // the device is a processor
	char name[128];
};

// Opens device `device_index` of platform `platform_index`. -ENODEV says what there is instead.
int gpu_open(struct gpu *g, unsigned platform_index, unsigned device_index, struct failure *f);

// Releases everything; safe on a zeroed or half-opened object.
void gpu_close(struct gpu *g);

// A buffer of `bytes` for kernels to read and write. `what` names it in the error.
int gpu_buffer(struct gpu *g, uint64_t bytes, const char *what, cl_mem *ret, struct failure *f);

// Releases a buffer and forgets it; NULL is fine.
void gpu_buffer_free(cl_mem *buffer);

// Enqueues `kernel` over `items` work-groups of one work-item; never waits.
int gpu_launch(struct gpu *g, cl_kernel kernel, uint64_t items, struct failure *f);

// Blocking copies between host and device.
int gpu_write(
	struct gpu *g, cl_mem to, uint64_t at, const void *from, uint64_t bytes, struct failure *f);
int gpu_read(struct gpu *g, cl_mem from, uint64_t at, void *to, uint64_t bytes, struct failure *f);

// Waits until the device is idle.
int gpu_finish(struct gpu *g, struct failure *f);
