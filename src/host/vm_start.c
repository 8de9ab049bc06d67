// SPDX-License-Identifier: Apache-2.0
#include "host/vm_start.h"
#include "base/argv.h"
#include "base/cleanup.h"
#include "base/process.h"
#include "base/sanitized.h"
#include "host/host.h"
#include "host/settings.h"
#include "host/tap.h"
#include "host/turns.h"
#include "host/vm_link.h"
#include "vgpu/profile.h"
#include "vm/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define VGPU_PORT_FD 10 // docs/interfaces.md, section 3: port i is 10+2i and 11+2i

void vm_ports_init(struct vm_ports *p)
{
	*p = (struct vm_ports){ 0 };
	memset(p->ours, 0xff, sizeof p->ours); // every descriptor -1
	memset(p->qemus, 0xff, sizeof p->qemus);
}

int vm_ports_open(
	struct vm_ports *p, unsigned first, unsigned vgpus, unsigned each, struct ferry_error *e)
{
	p->each = each;
	for (unsigned i = first * each; i < (first + vgpus) * each; i++) {
		int pair[2];
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
			return ferry_fail(e, errno, "no-ports", "cannot make the vGPU's ports: %m");
		p->ours[i] = pair[0];
		p->qemus[i] = pair[1];
	}
	return 0;
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void vm_ports_close(struct vm_ports *p)
{
	for (unsigned i = 0; i < VM_PORTS_ALL_MAX; i++) {
		close_one(&p->ours[i]);
		close_one(&p->qemus[i]);
	}
}

static int open_log(struct vm *vm, const char *file, struct ferry_error *e)
{
	char path[160];

	vm_path(vm, file, path, sizeof path);
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	return fd >= 0 ? fd : ferry_fail(e, errno, "file", "cannot open %s: %m", path);
}

static int start(struct vm *vm, int index, const struct process_spec *spec, struct ferry_error *e)
{
	pid_t pid;
	int r = process_start(spec, &pid, e);

	if (r < 0)
		return r;
	r = vm_watch_process(vm, index, pid, process_start_time(pid), e);
	vm_save(vm); // before anything else can fail: an unrecorded process would be lost
	return r;
}

// A hostile kernel may fork: where the host allows it, that ends with the process.
static int start_alone(struct vm *vm, int index, struct process_spec *spec, struct ferry_error *e)
{
	struct ferry_error why = FERRY_ERROR_INIT;
	int r = start(vm, index, spec, &why);

	if (r < 0 && !(spec->init && r == -EPERM))
		*e = why;
	if (r != -EPERM || !spec->init)
		return r;
	vm_log(vm, "no PID namespaces here: what a hostile kernel starts can outlive the VM");
	spec->init = false;
	return start(vm, index, spec, e);
}

// The daemon's configured environment, `more`, NULL.
static const char **vgpu_environment(struct vm *vm, const char *const *more, size_t n_more)
{
	char **configured = vm->host->config.env;
	size_t n = 0;

	while (configured && configured[n])
		n++;
	const char **env = calloc(n + n_more + 1, sizeof *env);
	for (size_t i = 0; env && i < n; i++)
		env[i] = configured[i];
	for (size_t i = 0; env && i < n_more; i++)
		env[n + i] = more[i];
	return env;
}

static const char *tracker(struct vm *vm)
{
	const char *text = setting_text(vm->host, vm, "migration.tracker", NULL);

	return strcmp(text, "auto") ? text : vm->host->config.tracker;
}

// Others have compute units of their own.
static bool takes_turns(const struct host *h, const struct profile *p)
{
	return h->turns && p->kind == PROFILE_TIME_SLICED;
}

static void vgpu_command(struct vm *vm, unsigned index, const struct profile *p,
	uint64_t framebuffer_bytes, bool incoming, struct argv *c)
{
	const struct host *h = vm->host;
	int slice = vm->vgpus[index].slice;
	char path[160], file[24];

	argv_add(c, "%s/ferry-vgpu", h->config.programs);
	snprintf(file, sizeof file, "vgpu%u.sock", index);
	vm_path(vm, file, path, sizeof path);
	argv_option(c, "--control", "%s", path);
	argv_option(c, "--profile", "%s", p->name);
	argv_option(c, "--memory", "%llu", (unsigned long long)framebuffer_bytes);
	argv_option(c, "--index", "%u", index);
	argv_option(c, "--ports", "%u", vm->n_ports);
	argv_option(c, "--tracker", "%s", tracker(vm));
	vm_path(vm, "vm.log", path, sizeof path);
	argv_option(c, "--vm-log", "%s", path);
	if (slice >= 0)
		argv_option(c, "--slices", "%d:%u", slice, p->slices);
	if (takes_turns(h, p)) {
		argv_option(c, "--tokens", "%d", HOST_TURNS_FD);
		argv_option(c, "--share", "%u", p->share_percent);
	}
	if (vm->user)
		argv_option(c, "--user", "%u", vm->user);
	if (incoming)
		argv_add(c, "--incoming");
	if (h->config.faults)
		argv_add(c, "--faults");
}

// Descriptors that ferry-vgpu inherits: both ends of each port, and the memory in which it takes turns.
static size_t vgpu_fds(const struct host *h, unsigned index, const struct vm_ports *ports,
	const struct profile *p, struct process_fd *fds)
{
	size_t n = 0;

	for (unsigned i = 0; i < ports->each; i++) {
		unsigned at = index * ports->each + i;
		int as = VGPU_PORT_FD + 2 * (int)i;
		fds[n++] = (struct process_fd){ ports->ours[at], as };
		fds[n++] = (struct process_fd){ ports->qemus[at], as + 1 };
	}
	if (takes_turns(h, p))
		fds[n++] = (struct process_fd){ h->turns_fd, HOST_TURNS_FD };
	return n;
}

int vm_start_vgpu(struct vm *vm, unsigned index, const struct vm_ports *ports, bool incoming,
	struct ferry_error *e)
{
	struct process_fd fds[2 * VM_PORTS_MAX + 1];
	_cleanup_argv_ struct argv c = { 0 };
	char cache[4300], file[24];
	struct vm_spec s;

	int r = vm_doc_read(vm->config, &s, e);
	if (r < 0)
		return r;
	const struct profile *p = profile_find(s.profile, e);
	if (!p)
		return -EINVAL;
	vgpu_command(vm, index, p, s.framebuffer_bytes, incoming, &c);
	if (c.failed)
		return ferry_fail(e, ENOMEM, "no-memory", "no memory for ferry-vgpu's arguments");
	unlink(c.v[2]); // an earlier one's control socket
	snprintf(file, sizeof file, "vgpu%u.log", index);
	_cleanup_fd_ int log_fd = open_log(vm, file, e);
	if (log_fd < 0)
		return log_fd;
	snprintf(cache, sizeof cache, "POCL_CACHE_DIR=%s/vms/%s/cl-cache", vm->host->config.state,
		vm->name);
	// PoCL keeps the threads of its compute units on processors of their own where it is told to.
	const char *more[] = { cache, "POCL_AFFINITY=1" };
	_cleanup_free_ const char **env =
		vgpu_environment(vm, more, vm->vgpus[index].slice >= 0 ? 2 : 1);
	if (!env)
		return ferry_fail(e, ENOMEM, "no-memory", "no memory for ferry-vgpu's environment");
	struct process_spec spec = { .argv = (const char *const *)c.v,
		.env = env,
		.log_fd = log_fd,
		.fds = fds,
		.n_fds = vgpu_fds(vm->host, index, ports, p, fds),
		.detached = true,
		.init = vm->user &&
			!SANITIZED }; // a leak checker looks for its own threads in /proc
	return start_alone(vm, (int)index, &spec, e);
}

// A peer's overlay or an overlay that is gone is not an error here: an incoming guest has its root
// in memory already, and the initramfs matters only when it boots.
static const char *usable_overlay(const struct vm_spec *s, bool incoming)
{
	return s->overlay && incoming && access(s->overlay, R_OK | X_OK) < 0 ? NULL : s->overlay;
}

// Descriptors that QEMU inherits: the ports' ends and the tap.
static size_t qemu_fds(
	const struct vm_ports *ports, unsigned vgpus, int tap, struct process_fd *fds)
{
	size_t n = 0;

	for (unsigned i = 0; i < vgpus * ports->each; i++)
		fds[n++] = (struct process_fd){ ports->qemus[i], VM_GPU_FD(ports->each, 0, i) };
	if (tap >= 0)
		fds[n++] = (struct process_fd){ tap, VM_TAP_FD };
	return n;
}

static int run_qemu(struct vm *vm, char **argv, const struct process_fd *fds, size_t n_fds,
	struct ferry_error *e)
{
	_cleanup_fd_ int log_fd = open_log(vm, "qemu.log", e);

	if (log_fd < 0)
		return log_fd;
	struct process_spec spec = { .argv = (const char *const *)argv,
		.log_fd = log_fd,
		.fds = fds,
		.n_fds = n_fds,
		.detached = true };
	return start(vm, -1, &spec, e);
}

int vm_start_qemu(struct vm *vm, const struct vm_ports *ports, bool incoming, struct ferry_error *e)
{
	struct host *h = vm->host;
	struct vm_spec s;
	char dir[160], kernel[4200], initrd[160], ip[40], tap[16], socket_path[160];
	struct process_fd fds[VM_PORTS_ALL_MAX + 1];
	_cleanup_fd_ int tap_fd = -1;

	int r = vm_doc_read(vm->config, &s, e);
	if (r < 0)
		return r;
	snprintf(dir, sizeof dir, "vms/%s", vm->name);
	snprintf(kernel, sizeof kernel, "%s/kernel", h->config.image);
	vm_path(vm, "initrd.cpio", initrd, sizeof initrd);
	vm_path(vm, "qmp.sock", socket_path, sizeof socket_path);
	unlink(socket_path);
	r = vm_initrd_write(initrd, h->config.image, usable_overlay(&s, incoming), e);
	if (r < 0)
		return r;
	if (s.ip[0]) {
		tap_name(vm->name, tap);
		tap_fd = tap_open(tap, h->config.guest.bridge, e);
		if (tap_fd < 0)
			return tap_fd;
	}
	snprintf(ip, sizeof ip, "%s/%u", s.ip, s.prefix);
	struct vm_config c = { .name = vm->name,
		.machine = s.machine,
		.accel = h->accel.accel,
		.vcpus = s.vcpus,
		.memory_bytes = s.memory_bytes,
		.dir = dir,
		.kernel = kernel,
		.initrd = initrd,
		.disk = s.disk,
		.tap_fd = tap_fd >= 0,
		.mac = s.ip[0] ? s.mac : NULL,
		.ip = s.ip[0] ? ip : NULL,
		.gateway = s.gateway[0] ? s.gateway : NULL,
		.gpus = s.vgpus,
		.ports = ports->each,
		.incoming = incoming };
	_cleanup_argv_ struct argv argv = { 0 };
	r = vm_cmdline(&c, &argv, e);
	return r < 0 ? r : run_qemu(vm, argv.v, fds, qemu_fds(ports, s.vgpus, tap_fd, fds), e);
}
