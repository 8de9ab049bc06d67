// SPDX-License-Identifier: Apache-2.0
// Files that must survive a crash, and whole small files.
#pragma once

#include <stddef.h>
#include "base/error.h"

// Replaces `path` with `n` bytes so that after success they survive power loss: temporary file,
// fsync(2), rename(2), fsync of the folder. Costs about 0.3 ms on a local disk.
int file_write_durable(const char *path, const void *bytes, size_t n, struct ferry_error *e);

// Reads a file of at most `cap` bytes; *ret_text is NUL-terminated and the caller's to free.
// -EFBIG when it is larger.
int file_read(const char *path, size_t cap, char **ret_text, size_t *ret_n, struct ferry_error *e);

// mkdir -p with mode 0755.
int dir_make(const char *path, struct ferry_error *e);

// rm -r; a missing path is no error. Does not follow symbolic links.
int path_remove(const char *path, struct ferry_error *e);
