// SPDX-License-Identifier: Apache-2.0
// Arming, all at once: data connections, the relay, QEMU's capabilities, the vGPU's tracker.
#include "host/migration/driver.h"
#include "host/migration/relay_process.h"
#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// More than any link carries: the links' own rates are set elsewhere, and a value below 10 would
// mean "no limit" only by accident.
#define QEMU_MAX_BANDWIDTH (1ll << 40)

// A data connection that is being made; its answer may come after the migration has ended.
struct opening {
	struct migration *m; // NULL: nobody wants it any more
	struct opening *next;
	char kind;
	unsigned index;
};

void source_forget_openings(struct migration *m)
{
	for (struct opening *o = m->openings; o; o = o->next)
		o->m = NULL;
	m->openings = NULL;
}

static void fail(struct migration *m, const struct ferry_error *e, const char *what)
{
	struct ferry_error why = *e;

	ferry_error_prefix(&why, "%s", what);
	driver_feed_error(m, EV_FAILED, &why);
}

static void begin_move(struct migration *m);

void source_look_armed(struct migration *m)
{
	struct event ev = { .type = EV_ARMED };

	if (m->source.state != SOURCE_ARMING)
		return;
	if (!m->armed.begun && m->armed.status && m->armed.estimate && m->source.cfg.gpu &&
		m->fds_there == m->channels)
		begin_move(m);
	if (!m->armed.gpu || !m->armed.relay || !m->armed.vm)
		return;
	ev.armed.gpu_bytes = m->allocated_bytes;
	ev.armed.ram_bytes = m->ram_total_bytes;
	driver_feed(m, &ev);
}

// ---- the vGPU ----

static void on_begun(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	(void)ok;
	if (e) {
		fail(m, e, "vGPU");
		return;
	}
	m->armed.gpu = true;
	source_look_armed(m);
}

static bool same_device(const struct migration *m)
{
	const char *key = json_string_value(json_array_get(m->peer_keys, 0));

	return key && *key && !strcmp(key, m->vm->vgpus[0].device.key);
}

static void begin_move(struct migration *m)
{
	json_t *args = json_pack("{ss ss si sI si sb}", "migration", m->id, "mode", m->params.mode,
		"channels", (int)m->channels, "bandwidth_bytes_per_s",
		(json_int_t)m->params.bandwidth_bytes_per_s, "index", 0, "binaries",
		same_device(m));

	m->armed.begun = true;
	call_gpu(m, "move.begin", args, m->fds, m->channels, on_begun);
	for (unsigned i = 0; i < m->channels; i++) {
		close(m->fds[i]);
		m->fds[i] = -1;
	}
}

static void on_status(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	if (e) {
		fail(m, e, "vGPU");
		return;
	}
	m->allocated_bytes = (uint64_t)json_int_or(ok, "allocated_bytes", 0);
	m->armed.status = true;
	source_look_armed(m);
}

// ---- the relay ----

static void on_attached(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	(void)ok;
	if (e) {
		fail(m, e, "ferry-relay");
		return;
	}
	m->armed.relay = true;
	source_look_armed(m);
}

static void on_relay(void *arg, const struct ferry_error *e)
{
	struct migration *m = arg;

	if (e)
		fail(m, e, "ferry-relay");
	else
		call_relay_attach(m, on_attached);
}

static void on_relay_closed(void *arg, const json_t *message)
{
	struct migration *m = arg;

	m->last_out_ns = json_int_or(message, "last_out_ns", 0);
}

static const struct relay_process_ops relay_ops = { on_relay, on_relay_closed };

// ---- the data connections ----

static void on_channel(void *arg, int fd, const struct ferry_error *e)
{
	struct opening *o = arg;
	struct migration *m = o->m;
	struct opening it = *o;

	if (m)
		for (struct opening **p = &m->openings; *p; p = &(*p)->next)
			if (*p == o) {
				*p = o->next;
				break;
			}
	free(o);
	if (!m || m->ended) {
		if (fd >= 0)
			close(fd);
		return;
	}
	if (fd < 0) {
		fail(m, e, "data connection");
		return;
	}
	if (it.kind == 'R') {
		m->ram_fd = fd;
		call_relay_attach(m, on_attached);
		return;
	}
	m->fds[it.index] = fd;
	m->fds_there++;
	source_look_armed(m);
}

static void open_channel(struct migration *m, char kind, unsigned index)
{
	struct preface p = { .kind = kind, .channel = (uint16_t)index };
	struct opening *o = calloc(1, sizeof *o);
	struct ferry_error e = FERRY_ERROR_INIT;

	for (unsigned i = 0; i < sizeof p.migration; i++) {
		unsigned byte = 0;
		sscanf(m->id + 2 * i, "%2x", &byte);
		p.migration[i] = (uint8_t)byte;
	}
	memcpy(p.token, m->token, sizeof p.token);
	if (!o) {
		ferry_fail(&e, ENOMEM, "no-memory", "out of memory");
		fail(m, &e, "data connection");
		return;
	}
	*o = (struct opening){ .m = m, .next = m->openings, .kind = kind, .index = index };
	m->openings = o;
	int r = peer_channel(m->host, m->peer_name, &p, DRIVER_CONNECT_MS, on_channel, o);
	if (r < 0) {
		ferry_fail(&e, r, "peer-unreachable", "no data connection to %s", m->peer_name);
		on_channel(o, -1, &e);
	}
}

// ---- QEMU ----

static void on_parameters(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	(void)ok;
	if (e) {
		fail(m, e, "QEMU");
		return;
	}
	m->armed.vm = true;
	source_look_armed(m);
}

static void on_capabilities(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	(void)ok;
	if (e) {
		fail(m, e, "QEMU");
		return;
	}
	call_qemu(m, "migrate-set-parameters",
		json_pack("{sI sI}", "downtime-limit",
			(json_int_t)(m->source.cfg.ram_budget_ns / NSEC_PER_MSEC), "max-bandwidth",
			(json_int_t)QEMU_MAX_BANDWIDTH),
		0, on_parameters);
}

json_t *driver_capabilities(void)
{
	static const char *const names[] = { "events", "return-path", "pause-before-switchover",
		"late-block-activate" };
	json_t *list = json_array();

	for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
		json_array_append_new(
			list, json_pack("{ss sb}", "capability", names[i], "state", 1));
	return json_pack("{so}", "capabilities", list);
}

void source_arm(struct migration *m)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	struct vm_spec spec;

	if (vm_doc_read(m->config, &spec, NULL) == 0)
		m->framebuffer_bytes = spec.framebuffer_bytes;
	m->ram_total_bytes = (uint64_t)json_int_or(m->config, "memory_bytes", 0);
	m->relay = relay_start(m->vm, true, m->params.bandwidth_bytes_per_s, &relay_ops, m, &e);
	if (!m->relay) {
		fail(m, &e, "ferry-relay");
		return;
	}
	call_qemu(m, "migrate-set-capabilities", driver_capabilities(), 0, on_capabilities);
	open_channel(m, 'R', 0);
	m->armed.gpu = !m->source.cfg.gpu;
	if (m->armed.gpu)
		return;
	for (unsigned i = 0; i < m->channels; i++)
		open_channel(m, 'V', i);
	call_gpu(m, "status", NULL, NULL, 0, on_status);
}
