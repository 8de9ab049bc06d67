// SPDX-License-Identifier: Apache-2.0
// What a device is, for ferryd: as part of hello's answer, and by itself for a host without VMs.
#pragma once

#include "base/json.h"
#include "vgpu/control/options.h"

// {"name","vendor","version","driver","key","svm"}: equal keys exactly where native binaries may be
// shared; svm: whether it has coarse-grained shared virtual memory.
json_t *describe_device(struct backend *be);

// `ferry-vgpu --describe`: prints that in one line. The exit status.
int describe_print(const struct options *o);
