// SPDX-License-Identifier: Apache-2.0
#include "vgpu/control/confine.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/sanitized.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// linux/landlock.h has these from 6.2 and 6.10 on; Debian 12's has them not.
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV (1ULL << 15)
#endif

#define READ    (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define EXECUTE (READ | LANDLOCK_ACCESS_FS_EXECUTE)
#define DEVICE                                                                                     \
	(READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE |                      \
		LANDLOCK_ACCESS_FS_IOCTL_DEV)
#define OWN                                                                                        \
	(EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE |                   \
		LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |                   \
		LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |                        \
		LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER)
#define ALL ((LANDLOCK_ACCESS_FS_IOCTL_DEV << 1) - 1)

// What may be given to a file that is no folder (landlock(7)).
#define OF_A_FILE                                                                                  \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |                              \
		LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_TRUNCATE |                       \
		LANDLOCK_ACCESS_FS_IOCTL_DEV)

// What drivers of OpenCL, their compilers and the linker open. What is not there needs no rule.
static const struct {
	const char *pattern; // glob(7)
	uint64_t rights;
} kept[] = {
	{ ".", OWN },                  // the compile cache
	{ "/proc/self/exe", EXECUTE }, // the child that takes binaries
	{ "/usr", EXECUTE },
	{ "/lib*", EXECUTE },
	{ "/bin", EXECUTE },
	{ "/opt", EXECUTE }, // vendors' drivers
	{ "/etc/ld.so.cache", READ },
	{ "/etc/alternatives", READ },
	{ "/etc/OpenCL", READ },
	{ "/etc/*_version", READ }, // clang looks whose system this is
	{ "/proc/self", READ },
	{ "/proc/cpuinfo", READ },
	{ "/proc/meminfo", READ },
	{ "/proc/sys/vm", READ },
	{ "/proc/driver", READ },
	{ "/sys/devices", READ },
	{ "/sys/bus", READ },
	{ "/sys/class", READ },
	{ "/sys/module", READ },
	{ "/sys/fs/cgroup", READ }, // hwloc: what processors and memory there are
	{ "/sys/kernel/mm", READ },
	{ "/dev/null", DEVICE },
	{ "/dev/zero", DEVICE },
	{ "/dev/urandom", READ },
	{ "/dev/random", READ },
	{ "/dev/dri", DEVICE },
	{ "/dev/kfd", DEVICE },
	{ "/dev/nvidia*", DEVICE },
};

// What this kernel can forbid: a right that it does not know cannot be named.
static uint64_t known_rights(int version)
{
	if (version < 2)
		return LANDLOCK_ACCESS_FS_REFER - 1;
	if (version < 3)
		return LANDLOCK_ACCESS_FS_TRUNCATE - 1;
	return version < 5 ? LANDLOCK_ACCESS_FS_IOCTL_DEV - 1 : ALL;
}

static int keep(int rules, const char *path, uint64_t rights)
{
	_cleanup_fd_ int fd = open(path, O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return 0;
	struct landlock_path_beneath_attr beneath = {
		.allowed_access = S_ISDIR(st.st_mode) ? rights : rights & OF_A_FILE,
		.parent_fd = fd,
	};
	long r = syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0);
	return r < 0 ? -errno : 0;
}

static int keep_all(int rules, const char *pattern, uint64_t rights)
{
	glob_t found;
	int r = 0;

	if (glob(pattern, GLOB_NOSORT, NULL, &found) != 0)
		return 0;
	for (size_t i = 0; r == 0 && i < found.gl_pathc; i++)
		r = keep(rules, found.gl_pathv[i], rights);
	globfree(&found);
	return r;
}

int confine_files(struct ferry_error *e)
{
	if (SANITIZED) {
		log_info("built with sanitizers: it may open any file that its user may");
		return 0;
	}
	long version =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (version < 0)
		return ferry_fail(e, errno, "no-landlock", "files cannot be closed here: %m");
	uint64_t known = known_rights((int)version);
	struct landlock_ruleset_attr attr = { .handled_access_fs = known };
	_cleanup_fd_ int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
	const char *vendors = getenv("OCL_ICD_VENDORS");
	int r = rules < 0 ? -errno : 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(kept); i++)
		r = keep_all(rules, kept[i].pattern, kept[i].rights & known);
	if (r == 0 && vendors)
		r = keep(rules, vendors, READ & known);
	if (r == 0 &&
		(syscall(SYS_landlock_restrict_self, rules, 0) < 0 || setenv("TMPDIR", ".", 1) < 0))
		r = -errno;
	return r < 0 ? ferry_fail(e, -r, "no-landlock", "files cannot be closed here: %s",
			       strerror(-r))
		     : 0;
}
