// SPDX-License-Identifier: Apache-2.0
// Scoped cleanup for locals, as in systemd and crun: a descriptor or an allocation is released when
// its variable leaves scope. Use this or a forward goto in one function, never both for one
// resource.
#pragma once

#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free_p(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_fd_p(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

// `_cleanup_free_ char *s = NULL;` frees s at scope exit.
#define _cleanup_free_ __attribute__((cleanup(cleanup_free_p)))
// `_cleanup_fd_ int fd = -1;` closes fd at scope exit when it is not negative.
#define _cleanup_fd_ __attribute__((cleanup(cleanup_fd_p)))

// Gives up ownership: returns the value and leaves the "nothing" of its type behind.
#define take_fd(fd)                                                                                \
	__extension__({                                                                            \
		int taken_ = (fd);                                                                 \
		(fd) = -1;                                                                         \
		taken_;                                                                            \
	})
#define take_ptr(p)                                                                                \
	__extension__({                                                                            \
		__typeof__(p) taken_ = (p);                                                        \
		(p) = NULL;                                                                        \
		taken_;                                                                            \
	})

#define ARRAY_SIZE(a)                   (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
