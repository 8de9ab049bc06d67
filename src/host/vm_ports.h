// SPDX-License-Identifier: Apache-2.0
// Ports that the guest closed: a process that ended, or was killed, holds framebuffer memory until
// its session ends. QMP's VSERPORT_CHANGE is only the hint to look; src/vgpu/port.h (port_closed) says
// which three steps then tell whether the session on the port is a dead one. Hints are lost while
// ferryd or its connection to QEMU is away: then all ports are looked at. One that comes in the last
// milliseconds before a move is lost with it, and costs no more than the memory stays until the next
// process opens the port. Inside src/host only.
#pragma once

#include "host/vm.h"

// A QMP event VSERPORT_CHANGE; others' ports and ports that were opened are ignored.
void vm_ports_changed(struct vm *vm, const json_t *data);
// The same for every port that QEMU says is closed now. For a VM that runs, whose hints may have been
// lost; not for one that was just loaded: QEMU 7.2 opens its ports by a timer of the guest's clock
// (virtio_serial_post_load_timer_cb), and until that has fired calls them all closed.
void vm_ports_look(struct vm *vm);
// Whether QEMU's answer to query-chardev says that the guest has the port open; yes where it does not say.
bool vm_port_is_open(const json_t *chardevs, unsigned gpu, unsigned port);
// Whether it says of all those ports that nobody is at the other end.
bool vm_ports_are_broken(const json_t *chardevs, unsigned gpu, unsigned ports);
// The vGPU, or QEMU, is no longer asked; answers under way are ignored.
void vm_ports_forget(struct vm_vgpu *g);
