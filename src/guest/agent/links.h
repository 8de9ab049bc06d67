// SPDX-License-Identifier: Apache-2.0
// Names for the virtio-serial ports under /dev/virtio-ports, which a larger guest has from udev.
#pragma once

// Makes a link for every port that has a name. Names with a '/' are left out. Cheap; call it again
// when the kernel says that ports changed.
void agent_links_make(const char *sysfs, const char *dev);

// A socket on which the kernel tells of devices (netlink(7), NETLINK_KOBJECT_UEVENT), non-blocking.
// -errno.
int agent_links_watch(void);
// Whether what is waiting on it was about ports; reads all of it.
int agent_links_changed(int fd);
