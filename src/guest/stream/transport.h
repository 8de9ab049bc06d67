// SPDX-License-Identifier: Apache-2.0
// The byte stream to ferry-vgpu: a virtio-serial port in a VM, a unix socket elsewhere. Knows paths
// and descriptors, not what the bytes mean. Blocking; any thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define TRANSPORT_PORTS "/dev/virtio-ports/ferry.gpu0."

// Opens what FERRY_VGPU names ("unix:PATH" or "port:PATH"), else the first port of the pool that
// nobody else has open (a port opens once: EBUSY). A descriptor, or -ENODEV when there is no vGPU,
// -EBUSY when every port is taken, -errno.
int transport_open(void);
// Opens by such a name; for transport_open() and tests.
int transport_open_name(const char *name);

// Whether the other end outlives this process: what one leaves half sent comes before what the next sends.
bool transport_stays(void);
// All n bytes. They may be the program's, in memory that is there only once its handler of SIGSEGV has
// run. 0 or -errno.
int transport_write(int fd, const void *bytes, size_t n);
// At least one byte. Bytes read, or -errno; -EPIPE when the other side is gone.
ssize_t transport_read(int fd, void *bytes, size_t n);
// The descriptor that came with what was read, the caller's from now on; -1 when none did.
int transport_take_fd(void);
// Whether a read would return at once; waits at most timeout_ms.
bool transport_readable(int fd, int timeout_ms);
