// SPDX-License-Identifier: Apache-2.0
#include "host/vm_renew.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/process.h"
#include "host/host.h"
#include "host/vm_link.h"
#include "host/vm_ports.h"
#include "host/vm_start.h"
#include "vgpu/protocol/protocol.h"
#include "vm/qtree.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define FIRST_NS  (200 * NSEC_PER_MSEC) // the guest's kernel hears of the broken ports meanwhile
#define LEAST_NS  NSEC_PER_SEC
#define MOST_NS   (30 * NSEC_PER_SEC)
#define QUIET_NS  (60 * NSEC_PER_SEC) // one that lasted so long counts as sound
#define LOOK_NS   (200 * NSEC_PER_MSEC)
#define HELD_NS   (100 * NSEC_PER_MSEC)
#define HELLO_NS  (60 * NSEC_PER_SEC)
#define BROKEN_NS (3 * NSEC_PER_SEC) // for QEMU to see that a port's other end is gone

int64_t vm_renew_delay_ns(unsigned in_a_row)
{
	int64_t ns = LEAST_NS;

	if (!in_a_row)
		return FIRST_NS;
	while (--in_a_row && ns < MOST_NS)
		ns *= 2;
	return ns < MOST_NS ? ns : MOST_NS;
}

int vm_renew_refuse(const struct vm *vm, struct ferry_error *e)
{
	for (unsigned i = 0; i < vm->n_vgpus; i++) {
		if (!vm_renew_is_on(&vm->vgpus[i]))
			continue;
		ferry_fail(e, ENODEV, "vgpu-away",
			"ferry-vgpu %u of VM '%s' ended by itself and is being replaced", i,
			vm->name);
		ferry_error_remedy(e, "try again once it is there");
		return -ENODEV;
	}
	return 0;
}

static void on_time(void *arg);

static void look_after(struct vm_vgpu *g, int64_t ns)
{
	int64_t at = clock_now_ns() + ns;

	if (g->renew.timer)
		watch_set_timer(g->renew.timer, at);
	else
		g->renew.timer = loop_timer(g->vm->host->loop, at, on_time, g);
}

static void close_ports(struct vm_vgpu *g)
{
	if (g->renew.ports)
		vm_ports_close(g->renew.ports);
	free(g->renew.ports);
	g->renew.ports = NULL;
}

static void stop(struct vm_vgpu *g)
{
	close_ports(g);
	g->renew.timer = watch_remove(g->renew.timer);
	g->renew.stage = RENEW_NOT;
}

void vm_renew_forget(struct vm *vm)
{
	for (unsigned i = 0; i < VM_GPUS_MAX; i++) {
		stop(&vm->vgpus[i]);
		vm->vgpus[i].renew.asking = false;
	}
}

// For people who look for the reason of a VM that ended.
static void fail(struct vm_vgpu *g, const struct ferry_error *e)
{
	struct vm *vm = g->vm;

	vm_log(vm, "ferry-vgpu %u cannot be replaced: %s", g->index, e->message);
	host_event(vm->host, vm, "vm.vgpu-not-replaced",
		json_pack("{s:i, s:s}", "index", (int)g->index, "reason", e->message));
	vm_end(vm);
}

// ---- QEMU takes the ports, one after the other

static void back(struct vm_vgpu *g)
{
	struct vm *vm = g->vm;
	int64_t now = clock_now_ns(), ms = (now - g->renew.since_ns) / NSEC_PER_MSEC;

	stop(g);
	g->renew.back_ns = now;
	vm_save(vm);
	vm_log(vm, "ferry-vgpu %u, process %d, has taken its place after %lld ms", g->index,
		(int)g->process.pid, (long long)ms);
	host_event(vm->host, vm, "vm.vgpu-back",
		json_pack("{s:i, s:I, s:i}", "index", (int)g->index, "ms", (json_int_t)ms, "lost",
			(int)g->renew.times));
}

static void give_port(struct vm_vgpu *g);

// What QEMU refuses it will refuse again; where it was not heard it is asked again.
static bool refused(struct vm_vgpu *g, const struct ferry_error *e)
{
	g->renew.asking = false;
	if (g->renew.stage != RENEW_JOINING)
		return true;
	if (!e)
		return false;
	if (!strcmp(e->code, "qemu"))
		fail(g, e);
	else
		look_after(g, LOOK_NS);
	return true;
}

static void port_name(const struct vm_vgpu *g, char *ret, size_t size)
{
	snprintf(ret, size, "gpu%up%u", g->index, g->renew.port);
}

static void change(struct vm_vgpu *g, json_t *backend, qmp_reply_fn fn)
{
	struct qmp *q = g->vm->qmp;
	char name[24];

	port_name(g, name, sizeof name);
	json_t *args = json_pack("{s:s, s:o}", "id", name, "backend", backend);
	g->renew.asking = q && qmp_exec(q, "chardev-change", args, 0, fn, g) == 0;
	if (!q)
		json_decref(args);
	if (!g->renew.asking)
		look_after(g, LOOK_NS);
}

static void on_changed(void *arg, const json_t *ret, const struct ferry_error *e)
{
	struct vm_vgpu *g = arg;

	if (refused(g, e))
		return;
	g->renew.port++;
	give_port(g);
}

static void on_fd(void *arg, const json_t *ret, const struct ferry_error *e)
{
	struct vm_vgpu *g = arg;
	char name[24];

	if (refused(g, e))
		return;
	port_name(g, name, sizeof name);
	change(g,
		json_pack("{s:s, s:{s:{s:s, s:{s:s}}, s:b}}", "type", "socket", "data", "addr",
			"type", "fd", "data", "str", name, "server", 0),
		on_changed);
}

static void give_fd(struct vm_vgpu *g)
{
	struct qmp *q = g->vm->qmp;
	int fd = g->renew.ports->qemus[g->index * g->vm->n_ports + g->renew.port];
	char name[24];

	port_name(g, name, sizeof name);
	g->renew.asking =
		q && qmp_exec_fd(q, "getfd", json_pack("{s:s}", "fdname", name), fd, on_fd, g) == 0;
	if (!g->renew.asking)
		look_after(g, LOOK_NS);
}

// Each change is a control message to the guest, and QEMU 7.2 drops those that find no buffer: not too fast.
static void on_loose(void *arg, const json_t *ret, const struct ferry_error *e)
{
	struct vm_vgpu *g = arg;

	if (refused(g, e))
		return;
	g->renew.held[g->renew.port] = false;
	look_after(g, HELD_NS);
}

static void on_held(void *arg, const json_t *ret, const struct ferry_error *e)
{
	if (!refused(arg, e))
		change(arg, json_pack("{s:s, s:{}}", "type", "null", "data"), on_loose);
}

// A port that QEMU holds back (vm/qtree.h) is opened and closed once more, since only a close ends that:
// by a backend that is open from the beginning, and one that is not.
static void give_port(struct vm_vgpu *g)
{
	if (g->renew.port == g->vm->n_ports)
		back(g);
	else if (g->renew.held[g->renew.port])
		change(g, json_pack("{s:s, s:{s:i}}", "type", "ringbuf", "data", "size", 4096),
			on_held);
	else
		give_fd(g);
}

// ---- its process

static void on_connected(void *arg, const struct ferry_error *e)
{
	struct vm_vgpu *g = arg;

	if (g->renew.stage != RENEW_STARTING)
		return;
	if (e) {
		fail(g, e);
		return;
	}
	g->renew.stage = RENEW_JOINING;
	g->renew.port = 0;
	watch_set_timer(g->renew.timer, -1);
	give_port(g);
}

// A program that had the port may not have seen that it was broken (protocol.h).
static int end_session(int fd, struct ferry_error *e)
{
	char bytes[PROTO_FRAME_MAX];

	memset(bytes, PROTO_LOST, sizeof bytes);
	if (send(fd, bytes, sizeof bytes, MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof bytes)
		return ferry_fail(e, EIO, "no-ports", "a fresh port takes no bytes");
	return 0;
}

static int open_ports(struct vm_vgpu *g, const json_t *chardevs, struct ferry_error *e)
{
	unsigned each = g->vm->n_ports;
	struct vm_ports *p = malloc(sizeof *p);

	if (!p)
		return ferry_fail(e, ENOMEM, "no-memory", "no memory for ports");
	g->renew.ports = p;
	vm_ports_init(p);
	int r = vm_ports_open(p, g->index, 1, each, e);
	for (unsigned i = 0; i < each && r == 0; i++)
		if (g->renew.open[i] || vm_port_is_open(chardevs, g->index, i))
			r = end_session(p->ours[g->index * each + i], e);
	return r;
}

static void replace(struct vm_vgpu *g, const json_t *chardevs)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	int r = open_ports(g, chardevs, &e);

	if (r == 0)
		r = vm_start_vgpu(g->vm, g->index, g->renew.ports, false, &e);
	if (r < 0) {
		fail(g, &e);
		return;
	}
	g->renew.stage = RENEW_STARTING;
	look_after(g, HELLO_NS);
	vm_connect_vgpu(g, on_connected, g);
}

// Not in the middle of a migration, which ends without it; nor before its predecessor is gone.
static bool may_begin(const struct vm_vgpu *g)
{
	const struct vm *vm = g->vm;

	return g->renew.stage == RENEW_WAITING && vm->state == VM_RUNNING && !vm->migration &&
	       !vm->launch && !g->process.pid && vm->qmp && qmp_ready(vm->qmp);
}

static void ask_qemu(struct vm_vgpu *g, const char *command, json_t *args, qmp_reply_fn fn)
{
	g->renew.asking =
		may_begin(g) && qmp_exec(g->vm->qmp, command, json_incref(args), 0, fn, g) == 0;
	json_decref(args);
	if (!g->renew.asking)
		look_after(g, LOOK_NS);
}

// Nobody's fault: it is looked at again. False where there is nothing to do any more.
static bool answered(struct vm_vgpu *g, const struct ferry_error *e)
{
	g->renew.asking = false;
	if (g->renew.stage != RENEW_WAITING)
		return false;
	if (e || !may_begin(g)) {
		look_after(g, LOOK_NS);
		return false;
	}
	return true;
}

static void on_chardevs(void *arg, const json_t *ret, const struct ferry_error *e)
{
	struct vm_vgpu *g = arg;
	bool patient = clock_now_ns() < g->renew.since_ns + BROKEN_NS;

	if (!answered(g, e))
		return;
	if (patient && !vm_ports_are_broken(ret, g->index, g->vm->n_ports))
		look_after(g, LOOK_NS);
	else
		replace(g, ret);
}

// Which ports the guest has open: what opens one later knows nothing of the one before. And which ones QEMU
// holds back; another version of it may not say so.
static void on_qtree(void *arg, const json_t *ret, const struct ferry_error *e)
{
	struct vm_vgpu *g = arg;
	const char *text = json_is_string(ret) ? json_string_value(ret) : "";
	char id[24];

	if (!answered(g, e && !strcmp(e->code, "qemu") ? NULL : e))
		return;
	for (unsigned i = 0; i < g->vm->n_ports; i++) {
		snprintf(id, sizeof id, "gpu%up%u", g->index, i);
		g->renew.open[i] = qtree_is_open(text, id);
		g->renew.held[i] = qtree_is_held(text, id);
	}
	ask_qemu(g, "query-chardev", NULL, on_chardevs);
}

static void begin(struct vm_vgpu *g)
{
	ask_qemu(g, "human-monitor-command", qtree_args(), on_qtree);
}

static void on_time(void *arg)
{
	struct vm_vgpu *g = arg;
	struct ferry_error e = FERRY_ERROR_INIT;

	if (!g->vm->qmp)
		g->renew.asking = false; // whoever was asked is not there
	if (g->renew.stage == RENEW_STARTING) {
		ferry_fail(&e, ETIMEDOUT, "vgpu-silent", "the new ferry-vgpu does not answer");
		fail(g, &e);
	} else if (g->renew.asking) {
		look_after(g, LOOK_NS);
	} else if (g->renew.stage == RENEW_WAITING) {
		begin(g);
	} else if (g->renew.stage == RENEW_JOINING) {
		give_port(g);
	}
}

// ---- the beginning

static void tell_lost(const struct vm_vgpu *g, const char *how, int64_t again_ns)
{
	struct vm *vm = g->vm;

	vm_log(vm, "ferry-vgpu %u is replaced in %.1f s; it ended %u times so far", g->index,
		(double)again_ns / NSEC_PER_SEC, g->renew.times);
	host_event(vm->host, vm, "vm.vgpu-lost",
		json_pack("{s:i, s:s, s:i, s:I}", "index", (int)g->index, "status", how, "lost",
			(int)g->renew.times, "again_in_ms",
			(json_int_t)(again_ns / NSEC_PER_MSEC)));
}

bool vm_renew(struct vm_vgpu *g, const char *how)
{
	struct vm *vm = g->vm;
	int64_t now = clock_now_ns();

	if (g->renew.stage == RENEW_STARTING)
		vm_log(vm, "ferry-vgpu %u cannot be replaced: it ended before it answered",
			g->index);
	if (vm->state != VM_RUNNING || !vm->qemu.pid || g->renew.stage == RENEW_STARTING)
		return false;
	if (g->renew.stage == RENEW_WAITING)
		return true;
	if (g->renew.back_ns && now - g->renew.back_ns > QUIET_NS)
		g->renew.in_a_row = 0;
	int64_t ns = vm_renew_delay_ns(g->renew.in_a_row++);
	if (g->renew.stage == RENEW_NOT)
		g->renew.since_ns = now;
	close_ports(g);
	g->renew.stage = RENEW_WAITING;
	g->renew.times++;
	vm_save(vm);
	tell_lost(g, how, ns);
	look_after(g, ns);
	return true;
}

void vm_renew_look(struct vm *vm)
{
	for (unsigned i = 0; i < vm->n_vgpus && vm->state == VM_RUNNING; i++) {
		struct vm_vgpu *g = &vm->vgpus[i];
		if (g->renew.stage == RENEW_WAITING && !g->renew.timer)
			look_after(g, FIRST_NS);
		else if (g->renew.stage == RENEW_NOT && !g->process.pid)
			vm_renew(g, "nobody saw how");
	}
}

void vm_renew_adopt(struct vm *vm)
{
	for (unsigned i = 0; i < vm->n_vgpus; i++) {
		struct vm_vgpu *g = &vm->vgpus[i];
		if (g->renew.stage != RENEW_WAITING || !g->process.pid)
			continue;
		vm_log(vm, "ferry-vgpu %u had not all of its ports: it is ended", i);
		vm_disconnect_one(vm, (int)i);
		process_kill(g->process.pid, g->process.start_time, SIGKILL);
		g->renew.since_ns = clock_now_ns();
	}
	vm_renew_look(vm);
}
