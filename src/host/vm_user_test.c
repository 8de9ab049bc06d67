// SPDX-License-Identifier: Apache-2.0
// Which user a VM's ferry-vgpu becomes, on caches and processes that are really there.
#include "host/vm_user.h"
#include "base/test.h"
#include "host/host.h"
#include "host/test_folder.h"
#include "vgpu/user.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

static struct host host;
static struct vm b = { .host = &host, .name = "b" };
static struct vm a = { .host = &host, .name = "a", .next = &b };

static uid_t owner(const char *path)
{
	struct stat st;

	CHECK_EQ(lstat(path, &st), 0);
	return st.st_uid;
}

static unsigned taken(struct vm *vm)
{
	CHECK_EQ(vm_user_take(vm, NULL), 0);
	CHECK(vm->user >= VGPU_USERS_FIRST && vm->user <= VGPU_USERS_LAST);
	return vm->user;
}

static void each_vm_has_its_own(void)
{
	unsigned first = taken(&a), second = taken(&b);

	CHECK(first != second);
	CHECK_EQ(owner("vms/a/cl-cache"), first);
	CHECK_EQ(owner("vms/b/cl-cache"), second);
}

static void it_stays_and_so_does_the_cache(void)
{
	unsigned before = taken(&a);

	CHECK_EQ(mkdir("vms/a/cl-cache/kernels", 0700), 0);
	CHECK_EQ(taken(&a), before);
	CHECK_EQ(access("vms/a/cl-cache/kernels", F_OK), 0);
}

static void what_another_left_goes(void)
{
	unsigned of_b = taken(&b);

	CHECK_EQ(lchown("vms/a/cl-cache", of_b, of_b), 0);
	CHECK(taken(&a) != of_b);
	CHECK_EQ(owner("vms/a/cl-cache"), a.user);
	CHECK(access("vms/a/cl-cache/kernels", F_OK) < 0);
	CHECK_EQ(taken(&b), of_b);
}

// Of another daemon's VM, or left over by a guest's kernel.
static void one_with_processes_is_not_taken(void)
{
	unsigned user = taken(&a);
	pid_t pid = fork();

	if (!pid) {
		if (setresuid(user, user, user) < 0)
			_exit(1);
		pause();
		_exit(0);
	}
	for (int i = 0; i < 1000; i++) {
		char path[64];
		snprintf(path, sizeof path, "/proc/%d", (int)pid);
		if (owner(path) == user)
			break;
		usleep(1000);
	}
	CHECK(taken(&a) != user);
	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
}

int main(void)
{
	host.vms = &a;
	strcpy(host.config.state, "/state/of/this/test");
	test_folder_enter();
	if (geteuid() != 0) {
		CHECK_EQ(vm_user_take(&a, NULL), 0);
		CHECK_EQ(a.user, 0);
		printf("skipped: only root gives users away\n");
		return 77;
	}
	CHECK_EQ(dir_make("vms/a/cl-cache", NULL), 0);
	CHECK_EQ(dir_make("vms/b/cl-cache", NULL), 0);
	RUN(each_vm_has_its_own);
	RUN(it_stays_and_so_does_the_cache);
	RUN(what_another_left_goes);
	RUN(one_with_processes_is_not_taken);
}
