// SPDX-License-Identifier: Apache-2.0
#include "vgpu/backend/cl_scratch.h"

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

	*s = (struct cl_scratch){ .folder.fd = -1 };
	if (from && temporary_make(&s->folder, cache, "taking-", NULL) == 0) {
		link_folders(s->folder.fd, from);
		snprintf(s->env, sizeof s->env, "POCL_CACHE_DIR=%s", s->folder.path);
	}
	if (from)
		closedir(from);
}

void cl_scratch_remove(struct cl_scratch *s)
{
	for (int i = 0; i < REMOVE_TRIES && temporary_remove(&s->folder) < 0; i++)
		usleep(REMOVE_WAIT_US);
}
