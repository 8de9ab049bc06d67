// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int write_all(int fd, const char *bytes, size_t n)
{
	while (n) {
		ssize_t w = write(fd, bytes, n);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -errno;
		bytes += w;
		n -= (size_t)w;
	}
	return 0;
}

static int sync_folder_of(const char *path)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');

	if (slash)
		snprintf(folder, sizeof folder, "%.*s", (int)(slash - path) ?: 1, path);
	else
		strcpy(folder, ".");
	_cleanup_fd_ int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

int file_write_durable(const char *path, const void *bytes, size_t n, struct ferry_error *e)
{
	char temporary[PATH_MAX];

	if ((size_t)snprintf(temporary, sizeof temporary, "%s.new", path) >= sizeof temporary)
		return ferry_fail(e, ENAMETOOLONG, "file", "path too long: %.100s...", path);
	_cleanup_fd_ int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return ferry_fail(e, errno, "file", "cannot create %s: %m", temporary);
	int r = write_all(fd, bytes, n);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r == 0 && rename(temporary, path) < 0)
		r = -errno;
	if (r == 0)
		r = sync_folder_of(path);
	if (r < 0)
		return ferry_fail(e, r, "file", "cannot write %s durably: %s", path, strerror(-r));
	return 0;
}

int file_read(const char *path, size_t cap, char **ret_text, size_t *ret_n, struct ferry_error *e)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return ferry_fail(e, errno, "file", "cannot open %s: %m", path);
	_cleanup_free_ char *text = malloc(cap + 1);
	if (!text)
		return ferry_fail(e, ENOMEM, "no-memory", "cannot read %s: out of memory", path);
	size_t n = 0;
	while (n <= cap) {
		ssize_t got = read(fd, text + n, cap + 1 - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return ferry_fail(e, errno, "file", "cannot read %s: %m", path);
		if (got == 0)
			break;
		n += (size_t)got;
	}
	if (n > cap)
		return ferry_fail(e, EFBIG, "file", "%s is larger than %zu bytes", path, cap);
	text[n] = '\0';
	*ret_text = take_ptr(text);
	if (ret_n)
		*ret_n = n;
	return 0;
}

int dir_make(const char *path, struct ferry_error *e)
{
	char part[PATH_MAX];

	if ((size_t)snprintf(part, sizeof part, "%s", path) >= sizeof part)
		return ferry_fail(e, ENAMETOOLONG, "file", "path too long: %.100s...", path);
	for (char *p = part + 1;; p++) {
		if (*p != '/' && *p != '\0')
			continue;
		char kept = *p;
		*p = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return ferry_fail(e, errno, "file", "cannot make folder %s: %m", part);
		if (kept == '\0')
			return 0;
		*p = kept;
	}
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st, (void)kind, (void)where;
	return remove(path) < 0 && errno != ENOENT ? -1 : 0;
}

int path_remove(const char *path, struct ferry_error *e)
{
	if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) < 0 && errno != ENOENT)
		return ferry_fail(e, errno, "file", "cannot remove %s: %m", path);
	return 0;
}
