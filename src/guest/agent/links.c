// SPDX-License-Identifier: Apache-2.0
#include "guest/agent/links.h"
#include "base/cleanup.h"
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static void make_link(const char *sysfs, const char *dev, const char *port)
{
	char path[512], target[300];
	_cleanup_free_ char *name = NULL;
	size_t n = 0;

	snprintf(path, sizeof path, "%s/%.200s/name", sysfs, port);
	if (file_read(path, 200, &name, &n, NULL) < 0)
		return; // has no name, or not yet
	name[strcspn(name, "\n")] = '\0';
	if (!*name || *name == '.' || strchr(name, '/'))
		return;
	snprintf(path, sizeof path, "%s/virtio-ports/%s", dev, name);
	snprintf(target, sizeof target, "../%.200s", port);
	if (symlink(target, path) < 0 && errno != EEXIST)
		fprintf(stderr, "ferry-agent: cannot make %s: %s\n", path, strerror(errno));
}

void agent_links_make(const char *sysfs, const char *dev)
{
	char folder[256];
	DIR *d = opendir(sysfs);
	struct dirent *one;

	snprintf(folder, sizeof folder, "%s/virtio-ports", dev);
	dir_make(folder, NULL);
	while (d && (one = readdir(d)))
		if (one->d_name[0] != '.')
			make_link(sysfs, dev, one->d_name);
	if (d)
		closedir(d);
}

int agent_links_watch(void)
{
	struct sockaddr_nl sa = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	_cleanup_fd_ int fd = socket(
		AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);

	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof sa) < 0)
		return -errno;
	return take_fd(fd);
}

int agent_links_changed(int fd)
{
	char text[8192];
	int changed = 0;
	ssize_t n;

	while ((n = recv(fd, text, sizeof text, 0)) > 0 || (n < 0 && errno == ENOBUFS))
		if (n < 0 || memmem(text, (size_t)n, "SUBSYSTEM=virtio-ports", 22))
			changed = 1;
	return changed;
}
