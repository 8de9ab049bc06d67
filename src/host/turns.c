// SPDX-License-Identifier: Apache-2.0
#include "host/turns.h"
#include "base/log.h"
#include "host/host.h"
#include "host/settings.h"
#include "host/vm.h"
#include "vgpu/tokens/memory.h"

#include <sys/pidfd.h>
#include <unistd.h>

// What a ferry-vgpu has under that number may be anything by now: it is checked, and used for nothing
// but turns.
static bool take_from(struct host *h, pid_t pid)
{
	int process = pidfd_open(pid, 0);
	int fd = process >= 0 ? pidfd_getfd(process, HOST_TURNS_FD, 0) : -1;

	if (process >= 0)
		close(process);
	if (fd < 0)
		return false;
	h->turns = tokens_memory_map(fd, NULL);
	if (!h->turns) {
		close(fd);
		return false;
	}
	h->turns_fd = fd;
	return true;
}

static bool find_again(struct host *h)
{
	for (const struct vm *vm = h->vms; vm; vm = vm->next)
		for (unsigned i = 0; i < vm->n_vgpus; i++) {
			pid_t pid = vm->vgpus[i].process.pid;
			if (pid > 0 && take_from(h, pid)) {
				log_info("turns on the device: found again in ferry-vgpu %d",
					(int)pid);
				return true;
			}
		}
	return false;
}

void host_turns_open(struct host *h)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	h->turns_fd = -1;
	if (!find_again(h)) {
		h->turns_fd = tokens_memory_new(&e);
		h->turns = h->turns_fd >= 0 ? tokens_memory_map(h->turns_fd, &e) : NULL;
	}
	if (h->turns)
		host_turns_set_policy(h);
	else
		log_error("no turns on the device: %s", e.message);
}

void host_turns_set_policy(struct host *h)
{
	enum turns_policy p;

	if (h->turns && turns_policy_parse(setting_text(h, NULL, "vgpu.scheduling", NULL), &p) == 0)
		h->turns->policy = p;
}

void host_turns_close(struct host *h)
{
	if (!h->turns)
		return;
	tokens_memory_unmap(h->turns);
	close(h->turns_fd);
	h->turns = NULL;
}
