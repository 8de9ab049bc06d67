// SPDX-License-Identifier: Apache-2.0
// What this host's device is, for prechecks: ferryd itself knows no OpenCL, so a ferry-vgpu that serves
// nobody is asked (`--describe`), at start and again when a check finds the answer old.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/json.h"
#include "base/loop.h"

struct host;

struct host_device {
	char key[64]; // equal exactly where native binaries may be shared; "": not known
	char name[128], driver[128];
	bool svm; // it has coarse-grained shared virtual memory
};

struct host_device_reader {
	struct watch *exit; // of the process that is asked
	int said;           // its output
	int64_t asked_ns;   // 0: never
};

// Of {"name","driver","key","svm"}; what is missing is empty.
void host_device_parse(struct host_device *ret, const json_t *device);
json_t *host_device_to_json(const struct host_device *d);

// Asks in the background, unless that was done in the last minute. Both own h->device.
void host_device_read(struct host *h);
void host_device_close(struct host *h);
