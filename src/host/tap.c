// SPDX-License-Identifier: Apache-2.0
#include "host/tap.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <linux/sockios.h>

void tap_name(const char *vm, char ret[16])
{
	uint64_t h = 14695981039346656037ull; // FNV-1a

	for (; *vm; vm++)
		h = (h ^ (uint8_t)*vm) * 1099511628211ull;
	snprintf(ret, 16, "ft-%010llx", (unsigned long long)(h & 0xffffffffffull));
}

static int to_bridge(const char *name, const char *bridge)
{
	struct ifreq ifr = { 0 };
	_cleanup_fd_ int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (s < 0)
		return -errno;
	snprintf(ifr.ifr_name, sizeof ifr.ifr_name, "%s", bridge);
	ifr.ifr_ifindex = (int)if_nametoindex(name);
	if (ioctl(s, SIOCBRADDIF, &ifr) < 0 && errno != EBUSY)
		return -errno;
	memset(&ifr, 0, sizeof ifr);
	snprintf(ifr.ifr_name, sizeof ifr.ifr_name, "%s", name);
	if (ioctl(s, SIOCGIFFLAGS, &ifr) < 0)
		return -errno;
	ifr.ifr_flags |= IFF_UP;
	return ioctl(s, SIOCSIFFLAGS, &ifr) < 0 ? -errno : 0;
}

int tap_open(const char *name, const char *bridge, struct ferry_error *e)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	_cleanup_fd_ int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0) {
		int r = ferry_fail(e, errno, "no-tun", "cannot open /dev/net/tun: %m");
		ferry_error_remedy(e, "run ferryd as root on a kernel with tun devices");
		return r;
	}
	snprintf(ifr.ifr_name, sizeof ifr.ifr_name, "%s", name);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		return ferry_fail(e, errno, "no-tun", "cannot make the tap device %s: %m", name);
	int r = to_bridge(name, bridge);
	if (r < 0)
		return ferry_fail(e, r, "no-bridge", "cannot put %s on bridge %s: %s", name, bridge,
			strerror(-r));
	return take_fd(fd);
}
