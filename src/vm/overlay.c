// SPDX-License-Identifier: Apache-2.0
#include "vm/overlay.h"
#include "base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#define DEPTH_MAX 32

struct packer {
	int fd;
	uint64_t bytes;
	uint32_t next_inode;
	char path[PATH_MAX]; // of the current member, below the overlay; for names and messages
	struct ferry_error *e;
};

static int fail(struct packer *p, int err, const char *what)
{
	return ferry_fail(p->e, err, "overlay", "cannot %s '%.200s': %s", what, p->path,
		strerror(err < 0 ? -err : err));
}

static int put(struct packer *p, const void *bytes, size_t n)
{
	for (const char *at = bytes; n > 0;) {
		ssize_t w = write(p->fd, at, n);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return fail(p, errno, "pack");
		at += w;
		n -= (size_t)w;
		p->bytes += (uint64_t)w;
	}
	return 0;
}

static int pad(struct packer *p)
{
	return put(p, "\0\0\0", (size_t)(-p->bytes & 3));
}

static int put_header(struct packer *p, const char *name, uint32_t mode, uint64_t size)
{
	char header[111];
	unsigned links = S_ISDIR(mode) ? 2 : 1;

	snprintf(header, sizeof header,
		"070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", p->next_inode++, mode,
		0, 0, links, 0, (unsigned)size, 0, 0, 0, 0, (unsigned)strlen(name) + 1, 0);
	int r = put(p, header, 110);
	if (!r)
		r = put(p, name, strlen(name) + 1);
	return r ? r : pad(p);
}

static int copy_bytes(struct packer *p, int from, uint64_t n)
{
	while (n > 0) {
		ssize_t w = sendfile(p->fd, from, NULL, n);
		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0) // a file that shrinks meanwhile cannot fill its announced size
			return fail(p, w ? errno : EIO, "read");
		n -= (uint64_t)w;
		p->bytes += (uint64_t)w;
	}
	return 0;
}

static int pack_file(struct packer *p, int folder, const char *name)
{
	struct stat st;
	_cleanup_fd_ int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0)
		return fail(p, errno, "open");
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > VM_OVERLAY_MAX_BYTES - p->bytes)
		return fail(p, EFBIG, "fit");
	int r = put_header(p, p->path, S_IFREG | (st.st_mode & 07777), (uint64_t)st.st_size);
	if (!r)
		r = copy_bytes(p, fd, (uint64_t)st.st_size);
	return r ? r : pad(p);
}

static int pack_link(struct packer *p, int folder, const char *name)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(folder, name, target, sizeof target);

	if (n < 0 || n == sizeof target)
		return fail(p, n < 0 ? errno : ENAMETOOLONG, "read the link");
	int r = put_header(p, p->path, S_IFLNK | 0777, (uint64_t)n);
	if (!r)
		r = put(p, target, (size_t)n);
	return r ? r : pad(p);
}

static int pack_folder(struct packer *p, int parent, const char *name, int depth);

static int pack_one(struct packer *p, int folder, const char *name, int depth)
{
	struct stat st;
	size_t was = strlen(p->path);
	int n = snprintf(p->path + was, sizeof p->path - was, "%s%s", was ? "/" : "", name);
	int r;

	if (n < 0 || (size_t)n >= sizeof p->path - was)
		r = fail(p, ENAMETOOLONG, "pack");
	else if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		r = fail(p, errno, "look at");
	else if (S_ISDIR(st.st_mode))
		r = put_header(p, p->path, S_IFDIR | (st.st_mode & 07777), 0)
			    ?: pack_folder(p, folder, name, depth + 1);
	else if (S_ISREG(st.st_mode))
		r = pack_file(p, folder, name);
	else if (S_ISLNK(st.st_mode))
		r = pack_link(p, folder, name);
	else
		r = fail(p, EINVAL, "pack the device or socket");
	p->path[was] = '\0';
	return r;
}

static int not_dots(const struct dirent *d)
{
	return strcmp(d->d_name, ".") && strcmp(d->d_name, "..");
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int pack_folder(struct packer *p, int parent, const char *name, int depth)
{
	struct dirent **names = NULL;
	_cleanup_fd_ int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return fail(p, errno, "open the folder");
	if (depth > DEPTH_MAX)
		return fail(p, ELOOP, "descend into");
	int n = scandirat(fd, ".", &names, not_dots, by_name),
	    r = n < 0 ? fail(p, errno, "list") : 0;
	for (int i = 0; i < n; i++) {
		if (!r)
			r = pack_one(p, fd, names[i]->d_name, depth);
		free(names[i]);
	}
	free(names);
	return r;
}

int vm_overlay_pack(const char *folder, int fd, uint64_t *ret_bytes, struct ferry_error *e)
{
	struct packer p = { .fd = fd, .next_inode = 1, .e = e };
	int r = pack_folder(&p, AT_FDCWD, folder, 0);

	if (!r)
		r = put_header(&p, "TRAILER!!!", 0, 0);
	if (r)
		return ferry_error_prefix(e, "overlay %s", folder), r;
	*ret_bytes = p.bytes;
	return 0;
}

// Appends IMAGE/name.
static int append(int to, const char *image, const char *name, struct ferry_error *e)
{
	char path[PATH_MAX];
	ssize_t n;

	if (snprintf(path, sizeof path, "%s/%s", image, name) >= (int)sizeof path)
		return ferry_fail(e, ENAMETOOLONG, "image", "the image's path is too long");
	_cleanup_fd_ int from = open(path, O_RDONLY | O_CLOEXEC);
	if (from < 0) {
		int r = ferry_fail(e, errno, "image", "cannot open %s: %m", path);
		ferry_error_remedy(e, "make the guest's image with image/build");
		return r;
	}
	while ((n = sendfile(to, from, NULL, 1u << 30)) > 0 || (n < 0 && errno == EINTR))
		;
	return n < 0 ? ferry_fail(e, errno, "image", "cannot copy %s: %m", path) : 0;
}

int vm_initrd_write(const char *path, const char *image, const char *overlay, struct ferry_error *e)
{
	uint64_t bytes;
	_cleanup_fd_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		return ferry_fail(e, errno, "image", "cannot write %s: %m", path);
	int r = append(fd, image, "base.cpio", e);
	if (!r)
		r = append(fd, image, "ferry.cpio", e);
	if (!r && overlay)
		r = vm_overlay_pack(overlay, fd, &bytes, e);
	if (r)
		unlink(path);
	return r;
}
