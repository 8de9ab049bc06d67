// SPDX-License-Identifier: Apache-2.0
// The destination gets ready: processes, QEMU's listening, the relay, then the data connections.
#include "host/migration/driver.h"
#include "host/migration/relay_process.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define LOADED_NS (2 * NSEC_PER_MSEC) // between looks whether QEMU has become "paused"

static void fail(struct migration *m, const struct ferry_error *e, const char *what)
{
	struct ferry_error why = *e;

	ferry_error_prefix(&why, "%s", what);
	driver_feed_error(m, EV_FAILED, &why);
}

// ---- the relay and QEMU ----

static void on_attached(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	(void)ok;
	if (e)
		fail(m, e, "ferry-relay");
}

static void on_relay(void *arg, const struct ferry_error *e)
{
	struct migration *m = arg;
	struct event ev = { .type = EV_STARTED };

	if (e) {
		fail(m, e, "ferry-relay");
		return;
	}
	call_relay_attach(m, on_attached);
	driver_feed_at(m, "dest.prepared", &ev);
}

static const struct relay_process_ops relay_ops = { .ready = on_relay };

static void on_listening(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	struct ferry_error why = FERRY_ERROR_INIT;

	(void)ok;
	if (e) {
		fail(m, e, "QEMU");
		return;
	}
	m->relay = relay_start(m->vm, false, 0, &relay_ops, m, &why);
	if (!m->relay)
		fail(m, &why, "ferry-relay");
}

static void on_capabilities(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	char stream[64], uri[80];

	(void)ok;
	if (e) {
		fail(m, e, "QEMU");
		return;
	}
	vm_path(m->vm, "ram-in.sock", stream, sizeof stream);
	snprintf(uri, sizeof uri, "unix:%s", stream);
	call_qemu(m, "migrate-incoming", json_pack("{ss}", "uri", uri), 0, on_listening);
}

static void on_launched(void *arg, struct vm *vm, const struct ferry_error *e)
{
	struct migration *m = driver_handle_take(arg);

	(void)vm;
	if (!m || !m->vm)
		return;
	if (e)
		fail(m, e, "starting");
	else
		call_qemu(m, "migrate-set-capabilities", driver_capabilities(), 0, on_capabilities);
}

void dest_start(struct migration *m)
{
	vm_launch(m->vm, true, NULL, on_launched, driver_handle_new(m));
}

// ---- data connections ----

static void on_receiving(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	(void)ok;
	if (e)
		fail(m, e, "vGPU");
}

static void receive(struct migration *m)
{
	call_gpu(m, "move.receive",
		json_pack(
			"{ss si si}", "migration", m->id, "channels", (int)m->channels, "index", 0),
		m->fds, m->channels, on_receiving);
	for (unsigned i = 0; i < m->channels; i++) {
		close(m->fds[i]);
		m->fds[i] = -1;
	}
}

int dest_take_channel(struct migration *m, int fd, const struct preface *p, struct ferry_error *e)
{
	if (m->role != ROLE_DEST || m->dest.state != DEST_RECEIVING)
		return ferry_fail(e, EINVAL, "unexpected-channel",
			"migration %.8s takes no data connections now", m->id);
	if (memcmp(p->token, m->token, sizeof m->token))
		return ferry_fail(e, EPERM, "bad-token", "data connection with a wrong token");
	if (p->kind == 'R') {
		if (m->ram_fd >= 0 || p->channel != 0)
			return ferry_fail(e, EINVAL, "unexpected-channel",
				"a second connection for the VM's stream");
		m->ram_fd = fd;
		call_relay_attach(m, on_attached);
		return 0;
	}
	if (!m->dest.cfg.gpu || p->vgpu != 0 || p->channel >= m->channels ||
		m->fds[p->channel] >= 0 || m->fds_there >= m->channels)
		return ferry_fail(e, EINVAL, "unexpected-channel",
			"data connection %u of vGPU %u was not asked for", p->channel, p->vgpu);
	m->fds[p->channel] = fd;
	if (++m->fds_there == m->channels)
		receive(m);
	return 0;
}

// ---- what QEMU and the vGPU report ----

static void ask_loaded(void *arg);

static void on_loaded_reply(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	if (e) {
		fail(m, e, "QEMU");
		return;
	}
	if (!strcmp(json_string_or(ok, "status", ""), "paused")) {
		m->frozen_timer = watch_remove(m->frozen_timer);
		driver_feed_type(m, EV_VM_LOADED);
		return;
	}
	int64_t at = clock_now_ns() + LOADED_NS;
	if (m->frozen_timer)
		watch_set_timer(m->frozen_timer, at);
	else
		m->frozen_timer = loop_timer(m->host->loop, at, ask_loaded, m);
}

static void ask_loaded(void *arg)
{
	call_qemu(arg, "query-status", NULL, 0, on_loaded_reply);
}

static void on_qmp_event(
	void *arg, struct vm *vm, const char *name, const json_t *data, int64_t wall_ns)
{
	struct migration *m = arg;
	struct ferry_error e = FERRY_ERROR_INIT;
	const char *status = json_string_or(data, "status", "");

	(void)vm;
	if (!strcmp(name, "RESUME")) {
		m->resume_at_ns = wall_ns;
	} else if (!strcmp(name, "MIGRATION") && !strcmp(status, "completed")) {
		ask_loaded(m);
	} else if (!strcmp(name, "MIGRATION") && !strcmp(status, "failed")) {
		ferry_fail(&e, EIO, "qemu-migration", "QEMU could not load the VM");
		driver_feed_error(m, EV_FAILED, &e);
	}
}

static void on_received(struct migration *m, json_t *message)
{
	struct event ev = { .type = EV_GPU_RECEIVED };
	struct ferry_error e = FERRY_ERROR_INIT;

	if (json_get_string(message, "root", ev.sealed.root, sizeof ev.sealed.root, &e) < 0)
		fail(m, &e, "vGPU");
	else
		driver_feed(m, &ev);
}

static void on_gpu_event(
	void *arg, struct vm *vm, unsigned index, const char *name, json_t *message)
{
	struct migration *m = arg;
	struct ferry_error e = FERRY_ERROR_INIT;

	(void)vm, (void)index;
	if (!strcmp(name, "received")) {
		on_received(m, message);
	} else if (!strcmp(name, "building")) {
		if (m->peer && m->peer_ready)
			link_event(peer_link(m->peer), "building",
				json_pack("{ss sI sI}", "migration", m->id, "built",
					json_int_or(message, "built", 0), "programs",
					json_int_or(message, "programs", 0)));
	} else if (!strcmp(name, "failed")) {
		ferry_error_from_json(&e, json_object_get(message, "error"));
		if (!e.err)
			ferry_fail(&e, EIO, "vgpu", "the vGPU's move failed");
		driver_feed_error(m, EV_FAILED, &e);
	}
}

static bool on_exited(void *arg, struct vm *vm, int index, int status)
{
	struct migration *m = arg;

	(void)vm, (void)status;
	driver_feed_type(m, index < 0 ? EV_VM_GONE : EV_GPU_GONE);
	return true;
}

const struct vm_observer dest_vm_observer = {
	.qmp_event = on_qmp_event,
	.vgpu_event = on_gpu_event,
	.exited = on_exited,
};
