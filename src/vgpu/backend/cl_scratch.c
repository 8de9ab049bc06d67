// SPDX-License-Identifier: Apache-2.0
#include "vgpu/backend/cl_scratch.h"
#include "base/file.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FOLDER_LETTERS 2
#define REMOVE_TRIES   20
#define REMOVE_WAIT_US 50000

// What cannot be linked is compiled again by the child.
static void link_folders(int scratch, DIR *cache)
{
	const struct dirent *at;
	char target[16];

	while ((at = readdir(cache)) != NULL) {
		if (strlen(at->d_name) != FOLDER_LETTERS || at->d_name[0] == '.')
			continue;
		snprintf(target, sizeof target, "../%.2s", at->d_name);
		if (symlinkat(target, scratch, at->d_name) < 0)
			return;
	}
}

void cl_scratch_make(struct cl_scratch *s)
{
	const char *cache = getenv("POCL_CACHE_DIR");
	DIR *from = cache ? opendir(cache) : NULL;
	DIR *to = NULL;

	s->path[0] = 0;
	if (from && snprintf(s->path, sizeof s->path, "%s/taking-XXXXXX", cache) < PATH_MAX &&
		mkdtemp(s->path))
		to = opendir(s->path);
	if (to)
		link_folders(dirfd(to), from);
	else
		s->path[0] = 0;
	snprintf(s->env, sizeof s->env, "POCL_CACHE_DIR=%s", s->path);
	if (to)
		closedir(to);
	if (from)
		closedir(from);
}

void cl_scratch_remove(struct cl_scratch *s)
{
	if (!s->path[0])
		return;
	for (int i = 0; i < REMOVE_TRIES && path_remove(s->path, NULL) < 0; i++)
		usleep(REMOVE_WAIT_US);
}
