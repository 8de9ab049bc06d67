// SPDX-License-Identifier: Apache-2.0
// Archives as cpio(1) reads them.
#include "vm/overlay.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static char root[64];

static void put(const char *path, const char *text)
{
	char full[256];

	snprintf(full, sizeof full, "%s/%s", root, path);
	FILE *f = fopen(full, "w");
	CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

static void folder(const char *path)
{
	char full[256];

	snprintf(full, sizeof full, "%s/%s", root, path);
	CHECK_EQ(dir_make(full, NULL), 0);
}

// Runs a shell command in the test's folder and checks what it prints.
static void prints(const char *command, const char *expected)
{
	char line[512], got[4096] = "";

	snprintf(line, sizeof line, "cd %s && %s", root, command);
	FILE *f = popen(line, "r");
	CHECK(f);
	got[fread(got, 1, sizeof got - 1, f)] = '\0';
	CHECK_EQ(pclose(f), 0);
	CHECK_STR(got, expected);
}

static void cpio_unpacks_the_same_tree(void)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	char in[128], image[128], out[128];

	folder("in/etc/ferry"), folder("in/empty"), folder("image"), folder("x");
	put("in/etc/ferry/start", "#!/bin/sh\necho hello\n");
	put("in/odd name", "12345");
	put("image/base.cpio", ""), put("image/ferry.cpio", "");
	prints("chmod 755 in/etc/ferry/start; chmod 600 'in/odd name'; ln -s ../nowhere in/link",
		"");
	snprintf(in, sizeof in, "%s/in", root);
	snprintf(image, sizeof image, "%s/image", root);
	snprintf(out, sizeof out, "%s/out.cpio", root);
	CHECK_EQ(vm_initrd_write(out, image, in, &e), 0);
	prints("cpio -idm --quiet -D x < out.cpio && diff -r --no-dereference in x && "
	       "cd x && find . -printf '%P %y %m %l\\n' | sort",
		" d 755 \nempty d 755 \netc d 755 \netc/ferry d 755 \n"
		"etc/ferry/start f 755 \nlink l 777 ../nowhere\nodd name f 600 \n");
}

static void the_same_folder_gives_the_same_bytes(void)
{
	char in[128], out[128];
	uint64_t bytes[2];

	snprintf(in, sizeof in, "%s/in", root);
	for (int i = 0; i < 2; i++) {
		snprintf(out, sizeof out, "%s/same%d", root, i);
		_cleanup_fd_ int fd = open(out, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		CHECK_EQ(vm_overlay_pack(in, fd, &bytes[i], NULL), 0);
	}
	CHECK_EQ(bytes[0], bytes[1]);
	CHECK_EQ(bytes[0] % 4, 0);
	prints("cmp same0 same1", "");
}

static void other_kinds_and_missing_parts_are_refused(void)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	char path[128], out[128];

	snprintf(out, sizeof out, "%s/no.cpio", root);
	snprintf(path, sizeof path, "%s/none", root);
	CHECK_EQ(vm_initrd_write(out, path, NULL, &e), -ENOENT);
	CHECK_STR(e.remedies[0], "make the guest's image with image/build");
	CHECK(access(out, F_OK) < 0);
	folder("bad");
	prints("mkfifo bad/pipe", "");
	e = FERRY_ERROR_INIT;
	snprintf(path, sizeof path, "%s/bad", root);
	_cleanup_fd_ int fd = open(out, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	uint64_t bytes = 0;
	CHECK_EQ(vm_overlay_pack(path, fd, &bytes, &e), -EINVAL);
	CHECK(strstr(e.message, "'pipe'"));
}

int main(void)
{
	if (system("cpio --version >/dev/null 2>&1"))
		SKIP("cpio is not installed");
	umask(022);
	snprintf(root, sizeof root, "/tmp/ferry-overlay-%d", (int)getpid());
	folder("");
	RUN(cpio_unpacks_the_same_tree);
	RUN(the_same_folder_gives_the_same_bytes);
	RUN(other_kinds_and_missing_parts_are_refused);
	CHECK_EQ(path_remove(root, NULL), 0);
}
