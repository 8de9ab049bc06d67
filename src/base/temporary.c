// SPDX-License-Identifier: Apache-2.0
#include "base/temporary.h"
#include "base/cleanup.h"
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

// Before that its maker may not have locked it yet, or a killed one's children may still use it.
#define NEW_S 60

static bool is_abandoned(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_uid == geteuid() && st.st_mtime + NEW_S < time(NULL) &&
	       flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static void sweep(const char *parent, const char *name)
{
	char path[PATH_MAX];
	const struct dirent *at;
	DIR *all = opendir(parent);

	while (all && (at = readdir(all)) != NULL) {
		if (strncmp(at->d_name, name, strlen(name)) ||
			strlen(at->d_name) != strlen(name) + 6 ||
			snprintf(path, sizeof path, "%s/%s", parent, at->d_name) >= PATH_MAX)
			continue;
		_cleanup_fd_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0 && is_abandoned(fd))
			path_remove(path, NULL);
	}
	if (all)
		closedir(all);
}

int temporary_make(struct temporary *t, const char *parent, const char *name, struct ferry_error *e)
{
	*t = (struct temporary){ .fd = -1 };
	sweep(parent, name);
	if (snprintf(t->path, sizeof t->path, "%s/%sXXXXXX", parent, name) >= PATH_MAX) {
		t->path[0] = 0;
		return ferry_fail(
			e, ENAMETOOLONG, "file", "the folder's name is too long: %s", parent);
	}
	if (mkdtemp(t->path))
		t->fd = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->fd < 0 || flock(t->fd, LOCK_EX | LOCK_NB) < 0) {
		t->path[0] = 0;
		return ferry_fail(
			e, errno, "file", "cannot make a temporary folder in %s: %m", parent);
	}
	return 0;
}

int temporary_remove(struct temporary *t)
{
	if (!t->path[0])
		return 0;
	int r = path_remove(t->path, NULL);
	if (r < 0)
		return r;
	close(t->fd);
	*t = (struct temporary){ .fd = -1 };
	return 0;
}
