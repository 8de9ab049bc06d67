// SPDX-License-Identifier: Apache-2.0
#include "host/precheck/precheck.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "host/host.h"
#include "host/peer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CHECK_TIMEOUT_MS 3000

// A check in progress: first the vGPUs say how much is allocated, then the destination looks.
struct check {
	struct host *host;
	char vm[VM_NAME_MAX + 1];
	char to[HOST_NAME_MAX_BYTES + 1];
	json_t *config;
	json_t *findings, *facts;
	uint64_t allocated, svm;
	struct host_device device; // of its vGPUs
	unsigned asking;           // vGPUs that have not answered
	struct peer *peer;
	struct watch *timer;
	bool asked;    // the destination was asked, or there is none to ask
	bool finished; // waits for its vGPUs' answers only to be freed
	precheck_fn fn;
	void *arg;
};

void finding_add(json_t *findings, enum severity s, const char *code, const char *remedy,
	const char *cause_fmt, ...)
{
	char cause[500];
	va_list ap;

	va_start(ap, cause_fmt);
	vsnprintf(cause, sizeof cause, cause_fmt, ap);
	va_end(ap);
	json_array_append_new(
		findings, json_pack("{s:s, s:s, s:s, s:s}", "code", code, "cause", cause, "remedy",
				  remedy, "severity", s == SEVERITY_REFUSE ? "refuse" : "warn"));
}

static void maybe_free(struct check *c)
{
	if (!c->finished || c->asking)
		return;
	json_decref(c->config);
	json_decref(c->findings);
	json_decref(c->facts);
	free(c);
}

static void finish(struct check *c)
{
	_cleanup_json_ json_t *report =
		json_pack("{s:O, s:O}", "findings", c->findings, "facts", c->facts);

	c->finished = true;
	c->peer = peer_free(c->peer);
	c->timer = watch_remove(c->timer);
	c->fn(c->arg, report);
	maybe_free(c);
}

static void add_error(struct check *c, const struct ferry_error *e)
{
	finding_add(c->findings, SEVERITY_REFUSE, e->code,
		e->remedies[0][0] ? e->remedies[0] : "see the log of ferryd on both hosts", "%s",
		e->message);
}

// Takes over the destination's findings, which are text from a peer: only strings, only so many.
static void take_findings(struct check *c, const json_t *theirs)
{
	json_t *f;
	size_t i;

	json_array_foreach((json_t *)theirs, i, f)
	{
		if (i >= 64)
			break;
		bool warn = !strcmp(json_string_or(f, "severity", "refuse"), "warn");
		finding_add(c->findings, warn ? SEVERITY_WARN : SEVERITY_REFUSE,
			json_string_or(f, "code", "unknown"), json_string_or(f, "remedy", ""), "%s",
			json_string_or(f, "cause", ""));
	}
}

static void on_answer(void *arg, json_t *ok, const struct ferry_error *e, int *fds, size_t n_fds)
{
	struct check *c = arg;

	if (c->finished)
		return;
	if (e && !strcmp(e->code, "link-lost"))
		return; // on_closed() reports it
	if (e)
		add_error(c, e);
	if (ok) {
		take_findings(c, json_object_get(ok, "findings"));
		json_t *facts = json_object_get(ok, "facts");
		if (json_is_object(facts))
			json_object_update(c->facts, facts);
	}
	finish(c);
}

static void on_ready(void *arg, struct peer *p)
{
	struct check *c = arg;
	const struct vm_facts *f = &c->host->facts;

	json_t *args = json_pack("{s:O, s:s, s:s, s:s, s:I, s:I}", "vm", c->config, "qemu_version",
		f->qemu_version, "machine", f->default_machine, "cpu", f->cpu_key,
		"allocated_bytes", (json_int_t)c->allocated, "svm_bytes", (json_int_t)c->svm);
	if (args && c->device.key[0])
		json_object_set_new(args, "device", host_device_to_json(&c->device));
	link_request(peer_link(p), "check", args, NULL, 0, on_answer, c);
}

static void on_closed(void *arg, struct peer *p, const struct ferry_error *why)
{
	struct check *c = arg;

	add_error(c, why);
	finish(c);
}

static void on_timeout(void *arg)
{
	struct check *c = arg;
	struct ferry_error e = FERRY_ERROR_INIT;

	ferry_fail(&e, ETIMEDOUT, "peer-unreachable", "host %s does not answer", c->to);
	add_error(c, &e);
	finish(c);
}

static const struct peer_ops check_ops = { .ready = on_ready, .closed = on_closed };

static void ask_peer(struct check *c)
{
	if (c->asked)
		return;
	c->asked = true;
	c->peer = strcmp(c->to, c->host->config.host)
			  ? peer_connect(c->host, c->to, CHECK_TIMEOUT_MS, &check_ops, c)
			  : NULL;
	// Without a peer to ask the timer ends the check in the next turn of the loop.
	int64_t wait = c->peer ? 2 * CHECK_TIMEOUT_MS * NSEC_PER_MSEC : 0;
	watch_set_timer(c->timer, clock_now_ns() + wait);
}

static void on_status(void *arg, json_t *ok, const struct ferry_error *e, int *fds, size_t n_fds)
{
	struct check *c = arg;

	for (size_t i = 0; i < n_fds; i++)
		close(fds[i]);
	c->asking--;
	if (c->finished) {
		maybe_free(c);
		return;
	}
	c->allocated += (uint64_t)json_int_or(ok, "allocated_bytes", 0);
	c->svm += (uint64_t)json_int_or(ok, "svm_bytes", 0);
	if (!c->asking)
		ask_peer(c);
}

static void on_first_turn(void *arg)
{
	struct check *c = arg;

	if (!strcmp(c->to, c->host->config.host))
		finish(c); // the source has said all
	else if (c->asked)
		on_timeout(c);
	else
		ask_peer(c);
}

static void ask_vgpus(struct check *c, struct vm *vm)
{
	for (unsigned i = 0; i < vm->n_vgpus; i++)
		if (vm->vgpus[i].link &&
			link_request(vm->vgpus[i].link, "status", NULL, NULL, 0, on_status, c) == 0)
			c->asking++;
}

int precheck_run(struct vm *vm, const char *to, precheck_fn fn, void *arg, struct ferry_error *e)
{
	struct check *c = calloc(1, sizeof *c);

	if (!c)
		return ferry_fail(e, ENOMEM, "no-memory", "no memory for the checks");
	*c = (struct check){ .host = vm->host,
		.config = json_deep_copy(vm->config),
		.findings = json_array(),
		.facts = json_object(),
		.fn = fn,
		.arg = arg };
	if (vm->n_vgpus)
		c->device = vm->vgpus[0].device;
	snprintf(c->vm, sizeof c->vm, "%s", vm->name);
	snprintf(c->to, sizeof c->to, "%s", to);
	precheck_source(vm, to, c->findings);
	ask_vgpus(c, vm);
	// A ferry-vgpu that does not answer holds the check up for half a second only.
	int64_t wait = c->asking ? 500 * NSEC_PER_MSEC : 0;
	c->timer = loop_timer(vm->host->loop, clock_now_ns() + wait, on_first_turn, c);
	return 0;
}

bool precheck_refuses(const json_t *report, struct ferry_error *e)
{
	json_t *f;
	size_t i;
	char causes[380] = "";
	size_t n = 0;
	const json_t *first = NULL;

	json_array_foreach(json_object_get(report, "findings"), i, f)
	{
		if (strcmp(json_string_or(f, "severity", ""), "refuse"))
			continue;
		first = first ? first : f;
		if (n < sizeof causes)
			n += (size_t)snprintf(causes + n, sizeof causes - n, "%s%s", n ? "; " : "",
				json_string_or(f, "cause", ""));
	}
	if (!first)
		return false;
	ferry_fail(e, EPERM, json_string_or(first, "code", ""), "%s", causes);
	ferry_error_remedy(e, "%s", json_string_or(first, "remedy", ""));
	return true;
}

void precheck_answer(struct host *h, struct peer *p, int64_t id, const json_t *args)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	json_t *findings = json_array();

	if (precheck_destination(h, args, findings, &e) < 0) {
		json_decref(findings);
		link_refuse(peer_link(p), id, &e);
		return;
	}
	json_t *facts = json_pack("{s:s, s:s, s:s, s:s, s:I}", "host", h->config.host, "version",
		FERRY_VERSION_TEXT, "qemu_version", h->facts.qemu_version, "accel",
		vm_accel_name(h->accel.accel), "available_bytes",
		(json_int_t)host_available_memory());
	if (h->device.key[0])
		json_object_set_new(facts, "device", host_device_to_json(&h->device));
	host_device_read(h); // for the next time
	link_answer(
		peer_link(p), id, json_pack("{s:o, s:o}", "findings", findings, "facts", facts));
}
