// SPDX-License-Identifier: Apache-2.0
#include "host/turns.h"
#include "base/test.h"
#include "base/process.h"
#include "host/host.h"
#include "host/inventory.h"
#include "host/test_folder.h"
#include "host/vm_link.h"
#include "vgpu/tokens/memory.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

static struct host h = { .config = { .host = "a" } };

static ino_t inode(int fd)
{
	struct stat st;

	CHECK_EQ(fstat(fd, &st), 0);
	return st.st_ino;
}

// A process that has `fd` where a ferry-vgpu has its turns.
static pid_t child_with(int fd)
{
	struct process_fd fds[] = { { fd, HOST_TURNS_FD } };
	const char *argv[] = { "sleep", "60", NULL };
	struct process_spec spec = {
		.argv = argv, .log_fd = -1, .fds = fds, .n_fds = 1, .tied = true
	};
	pid_t pid = 0;

	CHECK_EQ(process_start(&spec, &pid, NULL), 0);
	return pid;
}

static struct vm *running(const char *name, pid_t pid)
{
	json_t *request = json_pack("{s:s, s:s}", "name", name, "profile", "ferry_cpu-05q");
	struct vm *vm = vm_new(&h, vm_doc_from_request(request, NULL), NULL);

	json_decref(request);
	vm->vgpus[0].process.pid = pid;
	return vm;
}

static void end(struct vm *vm)
{
	pid_t pid = vm->vgpus[0].process.pid;

	vm_free(vm);
	kill(pid, SIGKILL);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
}

static void test_it_outlives_ferryd(void)
{
	host_turns_open(&h);
	CHECK(h.turns_fd >= 0);
	h.turns->slots[3].used_ns = 77;
	ino_t first = inode(h.turns_fd);
	struct vm *vm = running("vm", child_with(h.turns_fd));
	host_turns_close(&h);
	host_turns_open(&h); // as after a restart
	CHECK_EQ(inode(h.turns_fd), first);
	CHECK_EQ(h.turns->slots[3].used_ns, 77);
	host_turns_close(&h);
	end(vm);
	host_turns_open(&h); // nobody has it any more
	CHECK(inode(h.turns_fd) != first);
	host_turns_close(&h);
}

static void test_nothing_else_is_taken(void)
{
	int file = open("file", O_RDWR | O_CREAT, 0600);
	int growing = memfd_create("growing", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	CHECK(file >= 0 && growing >= 0);
	CHECK_EQ(ftruncate(file, TOKENS_BYTES) | ftruncate(growing, TOKENS_BYTES), 0);
	CHECK(!tokens_memory_map(file, NULL) && !tokens_memory_map(growing, NULL));
	struct vm *vm = running("vm", child_with(growing));
	host_turns_open(&h);
	CHECK(h.turns && inode(h.turns_fd) != inode(growing));
	host_turns_close(&h);
	end(vm);
	close(file);
	close(growing);
}

static void test_the_policy_is_the_hosts(void)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	host_turns_open(&h);
	CHECK_EQ(h.turns->policy, TURNS_BEST_EFFORT);
	CHECK_EQ(inventory_set(h.inventory, "vgpu.scheduling", "fixed-share", &e), 0);
	host_turns_set_policy(&h);
	CHECK_EQ(h.turns->policy, TURNS_FIXED_SHARE);
	host_turns_close(&h);
}

int main(void)
{
	test_folder_enter();
	h.loop = loop_new();
	h.inventory = inventory_open("ferry.db", NULL);
	CHECK(h.inventory);
	RUN(test_it_outlives_ferryd);
	RUN(test_nothing_else_is_taken);
	RUN(test_the_policy_is_the_hosts);
	inventory_close(h.inventory);
	loop_free(h.loop);
	return 0;
}
