// SPDX-License-Identifier: Apache-2.0
// The initramfs of one VM: the image's archives, then one made of the VM's overlay folder. Linux
// unpacks concatenated archives one after the other, a later file replacing an earlier one
// (Documentation/driver-api/early-userspace/buffer-format.rst).
#pragma once

#include <stdint.h>
#include "base/error.h"

// An overlay that is larger is refused: it would live in the guest's memory.
#define VM_OVERLAY_MAX_BYTES (1ull << 30)

// Packs the files, folders and links below `folder` as a "newc" cpio archive to the descriptor, owned
// by root, sorted, links not followed, other kinds of files refused. *ret_bytes is its length.
int vm_overlay_pack(const char *folder, int fd, uint64_t *ret_bytes, struct ferry_error *e);

// Writes `path` (replaced, mode 0600) as IMAGE/base.cpio, IMAGE/ferry.cpio and the overlay (NULL:
// none). Blocks while it copies; a failure leaves no file.
int vm_initrd_write(
	const char *path, const char *image, const char *overlay, struct ferry_error *e);
