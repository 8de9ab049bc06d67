// SPDX-License-Identifier: Apache-2.0
#include "host/vm_user.h"
#include "base/file.h"
#include "host/host.h"
#include "vgpu/user.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define USERS (VGPU_USERS_LAST - VGPU_USERS_FIRST + 1)

struct taken {
	bool by[USERS];
};

static bool is_ours(uid_t user)
{
	return user >= VGPU_USERS_FIRST && user <= VGPU_USERS_LAST;
}

static void take(struct taken *t, uid_t user)
{
	if (is_ours(user))
		t->by[user - VGPU_USERS_FIRST] = true;
}

// The owner of a VM's cache; root's where there is none.
static uid_t owner_of(const struct vm *vm)
{
	struct stat st;
	char path[160];

	vm_path(vm, "cl-cache", path, sizeof path);
	return lstat(path, &st) == 0 ? st.st_uid : 0;
}

// A process's folder in proc(5) belongs to its effective user. Other daemons on this machine have VMs too.
static void take_processes(struct taken *t)
{
	DIR *d = opendir("/proc");
	struct dirent *at;
	struct stat st;

	while (d && (at = readdir(d)))
		if (isdigit((unsigned char)at->d_name[0]) &&
			fstatat(dirfd(d), at->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			take(t, st.st_uid);
	if (d)
		closedir(d);
}

// Daemons with folders of their own begin at different numbers.
static unsigned first_choice(const struct vm *vm)
{
	unsigned h = 2166136261u; // FNV-1a (Fowler, Noll, Vo)

	for (const char *p = vm->host->config.state; *p; p++)
		h = (h ^ (unsigned char)*p) * 16777619u;
	return h % USERS;
}

static int choose(const struct vm *vm, unsigned *ret, struct ferry_error *e)
{
	struct taken t = { { false } };
	uid_t own = owner_of(vm);

	take_processes(&t);
	for (const struct vm *other = vm->host->vms; other; other = other->next)
		if (other != vm)
			take(&t, owner_of(other));
	unsigned first = is_ours(own) ? own - VGPU_USERS_FIRST : first_choice(vm);
	for (unsigned i = 0; i < USERS; i++) {
		unsigned k = (first + i) % USERS;
		if (!t.by[k]) {
			*ret = VGPU_USERS_FIRST + k;
			return 0;
		}
	}
	return ferry_fail(e, EAGAIN, "no-user", "all %d users for VMs are in use", USERS);
}

int vm_user_take(struct vm *vm, struct ferry_error *e)
{
	char path[160];

	vm->user = 0;
	if (geteuid() != 0)
		return 0;
	int r = choose(vm, &vm->user, e);
	if (r < 0 || owner_of(vm) == vm->user)
		return r;
	vm_path(vm, "cl-cache", path, sizeof path);
	r = path_remove(path, e);
	if (r == 0 && (mkdir(path, 0700) < 0 || chown(path, vm->user, vm->user) < 0))
		r = ferry_fail(e, errno, "file", "cannot make %s: %m", path);
	return r;
}

void vm_user_find_again(struct vm *vm)
{
	uid_t own = owner_of(vm);

	vm->user = geteuid() == 0 && is_ours(own) ? own : 0;
}
