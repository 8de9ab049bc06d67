// SPDX-License-Identifier: Apache-2.0
// At the daemon's start: every record that still asks for something gets its migration back, as the
// record says and nothing else; QEMU, the vGPU and the peer are asked for the rest.
#include "host/migration/driver.h"
#include "host/migration/relay_process.h"
#include "base/clock.h"
#include "base/log.h"

#include <string.h>

// What a restarted source still needs of the parameters: a limit for nothing but the report.
#define RESTORED_TARGET_MS 300
#define RESTORED_LIMIT_MS  100000

static struct migration *restored(struct host *h, struct vm *vm, const struct record *r)
{
	struct migration *m = driver_new(h, r->source ? ROLE_SOURCE : ROLE_DEST, vm, r->migration);

	if (!m) {
		log_error("VM %s: out of memory", r->vm);
		return NULL;
	}
	m->epoch = r->epoch;
	m->config = r->config ? json_incref(r->config) : json_object();
	snprintf(m->peer_name, sizeof m->peer_name, "%s", r->peer);
	log_info("migration %.8s of VM %s: taken up from the record '%s'", m->id, r->vm,
		record_name(r->state));
	vm_log(vm, "migration %.8s: taken up from the record '%s'", m->id, record_name(r->state));
	return m;
}

static void restore_source(struct host *h, struct vm *vm, const struct record *r)
{
	struct migration *m = restored(h, vm, r);
	struct source_config cfg;
	struct actions out = { .n = 0 };

	if (!m)
		return;
	relay_end_stray(vm, true);
	m->told = true; // whoever asked has gone
	m->params.target_stun_ms = RESTORED_TARGET_MS;
	m->params.stun_limit_ms = RESTORED_LIMIT_MS;
	strcpy(m->params.mode, "precopy");
	// A reclaimed VM's record has an epoch of its own, above the destination's.
	source_configure(m, &cfg);
	source_init(&m->source, &cfg);
	m->source.writing = r->state;
	m->source.writing_epoch = r->epoch;
	m->begun = true;
	source_restore(&m->source, r->state, clock_now_ns(), &out);
	driver_carry_out(m, &out);
}

static void restore_dest(struct host *h, struct vm *vm, const struct record *r)
{
	struct migration *m = restored(h, vm, r);
	struct dest_config cfg = { .epoch = r->epoch, .gpu = vm->n_vgpus > 0 };
	struct actions out = { .n = 0 };

	if (!m)
		return;
	relay_end_stray(vm, false);
	memcpy(cfg.id, m->id, sizeof cfg.id);
	dest_init(&m->dest, &cfg);
	m->dest.writing = r->state;
	m->begun = true;
	dest_restore(&m->dest, r->state, clock_now_ns(), &out);
	driver_carry_out(m, &out);
}

static void recover_one(void *arg, const struct record *r)
{
	struct host *h = arg;
	struct vm *vm = vm_find(h, r->vm);
	struct ferry_error e = FERRY_ERROR_INIT;

	if (r->finished)
		return;
	if (vm) {
		r->source ? restore_source(h, vm, r) : restore_dest(h, vm, r);
		return;
	}
	// An incoming VM that never reached the inventory, or the answer "never-ran", which stays.
	if (!r->source && r->state == RECORD_INCOMING && record_remove(r->vm, &e) < 0)
		log_error("VM %s: %s", r->vm, e.message);
	else if (r->state != RECORD_INCOMING && r->state != RECORD_NEVER_RAN)
		log_error("VM %s has a record '%s' of migration %.8s and is not in the inventory",
			r->vm, record_name(r->state), r->migration);
}

int migration_recover(struct host *h, struct ferry_error *e)
{
	(void)e;
	record_each(recover_one, h);
	return 0;
}

void migration_close(struct host *h)
{
	while (h->migrations && h->migrations->list)
		driver_free(h->migrations->list);
	free(h->migrations);
	h->migrations = NULL;
}
