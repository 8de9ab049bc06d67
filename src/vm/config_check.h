// SPDX-License-Identifier: Apache-2.0
// What a VM's configuration may hold. It comes from users and from peers, and ends up in QEMU's
// options, in paths and on the guest's kernel command line.
#pragma once

#include "vm/cmdline.h"

// 0, or -EINVAL with code "bad-config" and the field's name.
int vm_config_check(const struct vm_config *c, struct ferry_error *e);
