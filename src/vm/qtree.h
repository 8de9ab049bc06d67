// SPDX-License-Identifier: Apache-2.0
// What only QEMU's monitor for people says of a virtserialport: "info qtree", by QMP's human-monitor-command.
#pragma once

#include <jansson.h>
#include <stdbool.h>

json_t *qtree_args(void); // of human-monitor-command

// Whether the text says that the guest has the port with that id open. query-chardev ("frontend-open") says
// no of one that was open when chardev-change gave it another backend (qemu_chr_fe_init(), QEMU 7.2).
bool qtree_is_open(const char *text, const char *id);

// Whether it says that QEMU holds the port back: it throttles one whose socket takes no more, until it does.
// Where a write fails because the other end is gone, QEMU 7.2 closes the port first, which ends a throttle,
// and then throttles it (flush_buf() of hw/char/virtio-console.c): only another close ends that one.
bool qtree_is_held(const char *text, const char *id);
