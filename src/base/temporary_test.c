// SPDX-License-Identifier: Apache-2.0
#include "base/temporary.h"
#include "base/file.h"
#include "base/test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "kind."

static char parent[] = "/tmp/ferry-temporary-test-XXXXXX";

static void make_old(const char *path)
{
	const struct timespec long_ago[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };

	CHECK_EQ(utimensat(AT_FDCWD, path, long_ago, 0), 0);
}

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static void sweep(void)
{
	struct temporary t;

	CHECK_EQ(temporary_make(&t, parent, NAME, NULL), 0);
	CHECK_EQ(temporary_remove(&t), 0);
}

static void a_folder_goes_with_what_is_in_it(void)
{
	struct temporary t;
	char inner[PATH_MAX + 8], path[PATH_MAX];

	CHECK_EQ(temporary_make(&t, parent, NAME, NULL), 0);
	strcpy(path, t.path);
	snprintf(inner, sizeof inner, "%s/a", path);
	CHECK_EQ(mkdir(inner, 0700), 0);
	CHECK_EQ(temporary_remove(&t), 0);
	CHECK(!exists(path));
	CHECK_EQ(temporary_remove(&t), 0);
}

static void what_a_killed_process_left_goes_and_what_is_held_stays(void)
{
	struct temporary held, left, fresh;

	CHECK_EQ(temporary_make(&held, parent, NAME, NULL), 0);
	CHECK_EQ(temporary_make(&left, parent, NAME, NULL), 0);
	CHECK_EQ(temporary_make(&fresh, parent, NAME, NULL), 0);
	make_old(held.path);
	make_old(left.path);
	close(left.fd); // as the kernel does
	close(fresh.fd);
	sweep();
	CHECK(exists(held.path));
	CHECK(exists(fresh.path));
	CHECK(!exists(left.path));
	CHECK_EQ(temporary_remove(&held), 0);
}

static void other_names_and_links_stay(void)
{
	char other[PATH_MAX], link[PATH_MAX];

	snprintf(other, sizeof other, "%s/other.123456", parent);
	snprintf(link, sizeof link, "%s/" NAME "123456", parent);
	CHECK_EQ(mkdir(other, 0700), 0);
	CHECK_EQ(symlink(other, link), 0);
	make_old(other);
	sweep();
	CHECK(exists(other));
	CHECK(exists(link));
}

static void a_parent_that_is_not_there_is_an_error(void)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	struct temporary t;

	CHECK(temporary_make(&t, "/nowhere/at/all", NAME, &e) < 0);
	CHECK(strstr(e.message, "/nowhere/at/all"));
	CHECK_EQ(temporary_remove(&t), 0);
}

int main(void)
{
	CHECK(mkdtemp(parent));
	RUN(a_folder_goes_with_what_is_in_it);
	RUN(what_a_killed_process_left_goes_and_what_is_held_stays);
	RUN(other_names_and_links_stay);
	RUN(a_parent_that_is_not_there_is_an_error);
	CHECK_EQ(path_remove(parent, NULL), 0);
	return 0;
}
