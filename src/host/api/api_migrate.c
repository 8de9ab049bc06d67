// SPDX-License-Identifier: Apache-2.0
// Routes that move VMs: check, estimate, migrate, cancel, recover.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/units.h"
#include "host/api/api.h"
#include "host/host.h"
#include "host/migration/migration.h"
#include "host/precheck/precheck.h"
#include "host/settings.h"

static const char *const modes[] = { "precopy", "stop-copy", "single-pass", NULL };

static int bad(struct ferry_error *e, const char *key, const char *what)
{
	return ferry_fail(e, EINVAL, "bad-request", "'%s' is not %s", key, what);
}

static int read_to(const json_t *body, struct migration_params *p, struct ferry_error *e)
{
	int r = json_get_string(body, "to", p->to, sizeof p->to, e);

	if (r == 0 && vm_name_check(p->to, NULL) < 0)
		r = bad(e, "to", "a host's name");
	return r;
}

static int read_mode(const json_t *body, struct migration_params *p, struct ferry_error *e)
{
	const char *text = json_string_or(body, "mode", NULL);
	const char *policy = p->policy;

	if (!text)
		text = strcmp(policy, "auto") ? policy : "precopy";
	if (!strcmp(text, "postcopy"))
		return ferry_fail(
			e, EOPNOTSUPP, "not-supported", "mode postcopy is not in this version");
	for (const char *const *m = modes; *m; m++)
		if (!strcmp(*m, text)) {
			snprintf(p->mode, sizeof p->mode, "%s", text);
			return 0;
		}
	return bad(e, "mode", "precopy, stop-copy or single-pass");
}

// A number of the body within the limits of a setting, or the setting's value.
static int read_number(const json_t *body, const char *key, struct vm *vm, const char *setting,
	int64_t *ret, struct ferry_error *e)
{
	const json_t *v = json_object_get(body, key);
	const struct setting *s = setting_find(setting, e);

	if (!s)
		return -ENOENT;
	if (!v || json_is_null(v)) {
		*ret = setting_number(vm->host, vm, setting);
		return 0;
	}
	int64_t n = json_is_integer(v) ? json_integer_value(v) : -1;
	if (n < s->min || n > s->max)
		return ferry_fail(e, EINVAL, "bad-request",
			"'%s' is not a number from %lld to %lld", key, (long long)s->min,
			(long long)s->max);
	*ret = n;
	return 0;
}

static int read_bandwidth(
	const json_t *body, struct vm *vm, struct migration_params *p, struct ferry_error *e)
{
	const char *text = json_string_or(body, "bandwidth", NULL);
	uint64_t cap = vm->host->config.bandwidth_bytes_per_s;
	int r = 0;

	p->bandwidth_bytes_per_s = (uint64_t)setting_number(vm->host, vm, "migration.bandwidth");
	if (text)
		r = rate_parse(text, &p->bandwidth_bytes_per_s, e);
	if (cap && (!p->bandwidth_bytes_per_s || p->bandwidth_bytes_per_s > cap))
		p->bandwidth_bytes_per_s = cap; // the host's own link allows no more
	return r;
}

static void read_words(struct vm *vm, struct migration_params *p)
{
	struct host *h = vm->host;

	snprintf(p->policy, sizeof p->policy, "%s", setting_text(h, vm, "migration.policy", NULL));
	snprintf(p->tracker, sizeof p->tracker, "%s",
		setting_text(h, vm, "migration.tracker", NULL));
	snprintf(p->dedup, sizeof p->dedup, "%s", setting_text(h, vm, "migration.dedup", NULL));
}

static int read_params(
	const json_t *body, struct vm *vm, struct migration_params *p, struct ferry_error *e)
{
	int64_t stun_limit_s = 0, channels = 0;
	int r = read_to(body, p, e);

	read_words(vm, p);
	if (r == 0)
		r = read_mode(body, p, e);
	if (r == 0)
		r = read_number(
			body, "target_stun_ms", vm, "migration.target-stun", &p->target_stun_ms, e);
	if (r == 0)
		r = read_number(body, "stun_limit_s", vm, "migration.stun-limit", &stun_limit_s, e);
	if (r == 0)
		r = read_number(body, "channels", vm, "migration.channels", &channels, e);
	if (r == 0)
		r = read_bandwidth(body, vm, p, e);
	if (r == 0 && strcmp(json_string_or(body, "dedup", "off"), "off"))
		r = ferry_fail(
			e, EOPNOTSUPP, "not-supported", "dedup is not in this version: only off");
	p->stun_limit_ms = stun_limit_s * 1000;
	p->channels = (unsigned)channels;
	p->verify = json_bool_or(body, "verify", false);
	return r;
}

// What a request needs again once the checks are done.
struct job {
	struct request *r;
	struct host *host;
	char vm[VM_NAME_MAX + 1];
	struct migration_params params;
	bool estimate;
};

static void fail_job(struct job *j, const struct ferry_error *e)
{
	request_fail(j->r, e);
	free(j);
}

static void on_migration_progress(void *arg, const json_t *progress)
{
	struct job *j = arg;

	request_line(j->r, json_pack("{s:O}", "progress", progress));
}

static void on_migration_done(void *arg, const json_t *result, int exit)
{
	struct job *j = arg;
	json_t *last = json_copy((json_t *)result);

	json_object_set_new(last, "exit", json_integer(exit)); // for the CLI, which takes it off
	request_end(j->r, last);
	free(j);
}

static void on_estimate(void *arg, const json_t *estimate, const struct ferry_error *e)
{
	struct job *j = arg;

	if (e)
		request_fail(j->r, e);
	else
		request_end(j->r, json_deep_copy(estimate));
	free(j);
}

static const struct migration_observer observer = { on_migration_progress, on_migration_done };

// A refusal keeps the findings, so that the CLI can show them all; exit status 3.
static void refuse(struct job *j, const json_t *report, const struct ferry_error *e)
{
	request_answer(j->r, 409,
		json_pack("{s:o, s:i, s:O}", "error", ferry_error_to_json(e), "exit", 3, "findings",
			json_object_get(report, "findings")));
	free(j);
}

static void on_checked(void *arg, const json_t *report)
{
	struct job *j = arg;
	struct ferry_error e = FERRY_ERROR_INIT;
	struct vm *vm = vm_find(j->host, j->vm);

	if (!vm) {
		ferry_fail(&e, ENOENT, "no-vm", "VM '%s' is gone", j->vm);
		fail_job(j, &e);
		return;
	}
	if (precheck_refuses(report, &e)) {
		vm_log(vm, "migration to %s refused: %s", j->params.to, e.message);
		refuse(j, report, &e);
		return;
	}
	if (!j->estimate)
		request_line(j->r, json_pack("{s:{s:s, s:O}}", "progress", "step", "checked",
					   "findings", json_object_get(report, "findings")));
	int r = j->estimate ? migration_estimate(vm, &j->params, on_estimate, j, &e)
			    : migration_start(vm, &j->params, &observer, j, &e);
	if (r < 0)
		fail_job(j, &e);
}

static void check_first(struct request *r, bool estimate)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	_cleanup_json_ json_t *body = request_body(r);
	struct vm *vm = body ? request_vm(r) : NULL;
	struct job *j = vm ? calloc(1, sizeof *j) : NULL;

	if (!vm)
		return;
	if (!j) {
		ferry_fail(&e, ENOMEM, "no-memory", "no memory for a migration");
		request_fail(r, &e);
		return;
	}
	*j = (struct job){ .r = r, .host = vm->host, .estimate = estimate };
	snprintf(j->vm, sizeof j->vm, "%s", vm->name);
	if (read_params(body, vm, &j->params, &e) < 0 ||
		precheck_run(vm, j->params.to, on_checked, j, &e) < 0)
		fail_job(j, &e);
}

static void post_migrate(struct request *r)
{
	check_first(r, false);
}

static void post_estimate(struct request *r)
{
	check_first(r, true);
}

static void on_report(void *arg, const json_t *report)
{
	json_t *doc = json_deep_copy(report);
	bool refused = precheck_refuses(report, NULL);

	json_object_set_new(doc, "ok", json_boolean(!refused));
	json_object_set_new(doc, "exit", json_integer(refused ? 3 : 0));
	request_answer(arg, 200, doc);
}

static void post_check(struct request *r)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	_cleanup_json_ json_t *body = request_body(r);
	struct vm *vm = body ? request_vm(r) : NULL;
	struct migration_params p = { 0 };

	if (!vm)
		return;
	if (read_to(body, &p, &e) < 0 || precheck_run(vm, p.to, on_report, r, &e) < 0)
		request_fail(r, &e);
}

static void post_cancel(struct request *r)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	struct vm *vm = request_vm(r);

	if (!vm)
		return;
	if (migration_cancel(vm, &e) < 0)
		request_fail(r, &e);
	else
		request_answer(r, 200, json_pack("{s:b}", "cancelling", 1));
}

static void on_decided(void *arg, struct vm *vm, const struct ferry_error *e)
{
	if (e)
		request_fail(arg, e);
	else
		request_end(arg, vm ? vm_to_json(vm) : json_object());
}

static void post_recover(struct request *r)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	_cleanup_json_ json_t *body = request_body(r);
	struct vm *vm = body ? request_vm(r) : NULL;
	char decision[20];

	if (!vm)
		return;
	int n = json_get_string(body, "decision", decision, sizeof decision, &e);
	if (n == 0 && strcmp(decision, "run-here") && strcmp(decision, "give-up"))
		n = bad(&e, "decision", "run-here or give-up");
	if (n == 0)
		n = migration_decide(vm, decision, on_decided, r, &e);
	if (n < 0)
		request_fail(r, &e);
}

const struct route migrate_routes[] = {
	{ "POST", "vms/*/check", post_check },
	{ "POST", "vms/*/estimate", post_estimate },
	{ "POST", "vms/*/migrate", post_migrate },
	{ "POST", "vms/*/cancel", post_cancel },
	{ "POST", "vms/*/recover", post_recover },
	{ 0 },
};
