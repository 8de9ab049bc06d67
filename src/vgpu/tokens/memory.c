// SPDX-License-Identifier: Apache-2.0
#include "vgpu/tokens/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

int tokens_memory_new(struct ferry_error *e)
{
	int fd = memfd_create("ferry-tokens", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	const uint32_t magic = TOKENS_MAGIC;

	if (fd >= 0 && ftruncate(fd, TOKENS_BYTES) == 0 &&
		pwrite(fd, &magic, sizeof magic, 0) == sizeof magic &&
		fcntl(fd, F_ADD_SEALS, SEALS) == 0)
		return fd;
	int r = ferry_fail(e, errno, "no-tokens", "no memory for launch tokens: %m");
	if (fd >= 0)
		close(fd);
	return r;
}

struct tokens_memory *tokens_memory_map(int fd, struct ferry_error *e)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) < 0 ||
		st.st_size != TOKENS_BYTES) {
		ferry_fail(
			e, EINVAL, "no-tokens", "descriptor %d is no memory for launch tokens", fd);
		return NULL;
	}
	struct tokens_memory *m =
		mmap(NULL, TOKENS_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (m == MAP_FAILED) {
		ferry_fail(e, errno, "no-tokens", "launch tokens cannot be mapped: %m");
		return NULL;
	}
	if (m->magic == TOKENS_MAGIC)
		return m;
	tokens_memory_unmap(m);
	ferry_fail(e, EINVAL, "no-tokens", "descriptor %d holds no launch tokens", fd);
	return NULL;
}

void tokens_memory_unmap(struct tokens_memory *m)
{
	if (m)
		munmap(m, TOKENS_BYTES);
}

static const char *const policies[] = {
	[TURNS_BEST_EFFORT] = "best-effort",
	[TURNS_EQUAL_SHARE] = "equal-share",
	[TURNS_FIXED_SHARE] = "fixed-share",
};

const char *turns_policy_name(enum turns_policy p)
{
	return policies[p];
}

int turns_policy_parse(const char *name, enum turns_policy *ret)
{
	for (unsigned i = 0; i < sizeof policies / sizeof policies[0]; i++)
		if (!strcmp(policies[i], name)) {
			*ret = (enum turns_policy)i;
			return 0;
		}
	return -EINVAL;
}
