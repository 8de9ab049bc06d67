// SPDX-License-Identifier: Apache-2.0
// The way back: whatever QEMU and the vGPU were doing, the guest runs here again. Every step asks
// for the state first, so that it may be started at any time, also after a restart of the daemon.
#include "host/migration/driver.h"
#include "host/migration/relay_process.h"
#include "base/clock.h"
#include "base/log.h"

#include <string.h>

#define LOOK_NS       (10 * NSEC_PER_MSEC)
#define WAIT_NS       (100 * NSEC_PER_MSEC)
#define CANCEL_NS     (500 * NSEC_PER_MSEC)
#define SAY_EVERY     200  // looks at a QEMU that does not come back
#define GPU_SAY_EVERY 50   // a vGPU that refuses is asked for ever, and named now and then
#define PATIENCE_MS   1500 // a hung destination can block QEMU's monitor altogether

static void look_later(struct migration *m, int64_t ns);

static void on_run_state(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	if (!e && !strcmp(json_string_or(ok, "status", ""), "running")) {
		m->resume.on = false;
		m->resume.timer = watch_remove(m->resume.timer);
		driver_feed_type(m, EV_VM_RESUMED);
		return;
	}
	if (m->resume.looks % SAY_EVERY == 0)
		log_warn("migration %.8s: QEMU does not run: %s", m->id,
			e ? e->message : json_string_or(ok, "status", ""));
	// Its migration is over and it is paused: "postmigrate", or stopped for the switchover.
	if (!e)
		call_qemu(m, "cont", NULL, PATIENCE_MS, NULL);
	look_later(m, LOOK_NS);
}

static bool is_over(const char *status)
{
	static const char *const over[] = { "", "none", "completed", "failed", "cancelled" };

	for (unsigned i = 0; i < sizeof over / sizeof over[0]; i++)
		if (!strcmp(status, over[i]))
			return true;
	return false;
}

static void on_migration_state(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	if (e) {
		if (!m->resume.yanked && !strcmp(e->code, "qemu-timeout")) {
			// Cut QEMU's own connection: it then fails its migration and runs on.
			m->resume.yanked = true;
			call_qemu_oob(m, "yank",
				json_pack("{s[{ss}]}", "instances", "type", "migration"),
				PATIENCE_MS, NULL);
		}
		look_later(m, WAIT_NS);
		return;
	}
	const char *status = json_string_or(ok, "status", "");
	if (m->resume.looks++ % SAY_EVERY == SAY_EVERY - 1)
		log_warn("migration %.8s: QEMU's migration is still '%s'", m->id, status);
	if (is_over(status)) {
		call_qemu(m, "query-status", NULL, PATIENCE_MS, on_run_state);
		return;
	}
	int64_t now = clock_now_ns();
	if (!m->resume.cancelled_ns || now - m->resume.cancelled_ns > CANCEL_NS) {
		m->resume.cancelled_ns = now;
		call_qemu(m, "migrate_cancel", NULL, PATIENCE_MS, NULL);
	}
	look_later(m, LOOK_NS);
}

static void look(void *arg)
{
	struct migration *m = arg;

	if (!m->resume.on || !m->vm)
		return;
	if (!m->vm->qemu.pid) {
		m->resume.on = false;
		driver_feed_type(m, EV_VM_GONE);
		return;
	}
	if (!m->vm->qmp || !qmp_ready(m->vm->qmp)) {
		look_later(m, WAIT_NS);
		return;
	}
	call_qemu(m, "query-migrate", NULL, PATIENCE_MS, on_migration_state);
}

static void look_later(struct migration *m, int64_t ns)
{
	int64_t at = clock_now_ns() + ns;

	if (m->resume.timer)
		watch_set_timer(m->resume.timer, at);
	else
		m->resume.timer = loop_timer(m->host->loop, at, look, m);
}

void source_resume_vm(struct migration *m)
{
	source_poll_stop(m);
	if (m->resume.on)
		return;
	m->resume.on = true;
	m->resume.cancelled_ns = 0;
	m->resume.looks = 0;
	look(m);
	// A held relay must not be what QEMU's own threads wait for while they are cancelled.
	relay_end(m->relay);
	m->relay = NULL;
}

// ---- the vGPU ----

static void gpu_again(void *arg)
{
	source_resume_gpu(arg);
}

static void gpu_later(struct migration *m)
{
	int64_t at = clock_now_ns() + WAIT_NS;

	if (m->resume.gpu_timer)
		watch_set_timer(m->resume.gpu_timer, at);
	else
		m->resume.gpu_timer = loop_timer(m->host->loop, at, gpu_again, m);
}

static void on_open(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	(void)ok;
	if (e) {
		if (m->resume.gpu_tries++ % GPU_SAY_EVERY == 0)
			log_warn("migration %.8s: the vGPU's gate: %s", m->id, e->message);
		gpu_later(m);
		return;
	}
	m->resume.gpu_timer = watch_remove(m->resume.gpu_timer);
	driver_feed_type(m, EV_GPU_OPEN);
}

static void on_move_aborted(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	(void)ok;
	if (e && m->resume.gpu_tries % GPU_SAY_EVERY == 0)
		log_warn("migration %.8s: the vGPU's move: %s", m->id, e->message);
	call_gpu(m, "gate.open", NULL, NULL, 0, on_open);
}

void source_resume_gpu(struct migration *m)
{
	if (!m->vm)
		return;
	if (!m->vm->vgpus[0].process.pid) {
		driver_feed_type(m, EV_GPU_GONE);
		return;
	}
	if (!m->vm->vgpus[0].link)
		gpu_later(m);
	else
		call_gpu(m, "move.abort", NULL, NULL, 0, on_move_aborted);
}
