// SPDX-License-Identifier: Apache-2.0
#include "host/fault.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "host/host.h"
#include "host/vm.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const char *const points[] = { "source.prepared", "source.round", "source.stopped",
	"source.before-continue", "source.in-device", "source.sealed-received", "source.committed",
	"dest.prepared", "dest.before-sealed", "dest.sealed", "dest.before-owned",
	"dest.before-cont", "vgpu.round", "vgpu.final", "vgpu.receive" };

static const char *const actions[] = { "hold", "kill", "fail", "once-hold", "once-kill",
	"once-fail" };

// A step that waits at a point.
struct held {
	struct held *next;
	fault_fn fn;
	void *arg;
};

struct fault {
	const char *name;
	const char *action; // NULL: not set
	struct held *held, **held_last;
	unsigned vgpus_held; // how often a ferry-vgpu said that it waits here
};

struct faults {
	struct host *host;
	struct fault all[ARRAY_SIZE(points)];
};

struct faults *faults_new(struct host *h)
{
	struct faults *f = calloc(1, sizeof *f);

	if (!f)
		return NULL;
	f->host = h;
	for (size_t i = 0; i < ARRAY_SIZE(points); i++) {
		f->all[i].name = points[i];
		f->all[i].held_last = &f->all[i].held;
	}
	return f;
}

static struct held *detach(struct fault *p)
{
	struct held *list = p->held;

	p->held = NULL;
	p->held_last = &p->held;
	return list;
}

struct faults *faults_free(struct faults *f)
{
	for (size_t i = 0; f && i < ARRAY_SIZE(points); i++)
		for (struct held *w = detach(&f->all[i]), *next; w; w = next) {
			next = w->next;
			free(w);
		}
	free(f);
	return NULL;
}

static struct fault *find(struct faults *f, const char *name)
{
	for (size_t i = 0; f && i < ARRAY_SIZE(points); i++)
		if (!strcmp(f->all[i].name, name))
			return &f->all[i];
	return NULL;
}

static bool of_vgpu(const struct fault *p)
{
	return !strncmp(p->name, "vgpu.", 5);
}

static void hold(struct host *h, struct fault *p, fault_fn fn, void *arg)
{
	struct held *w = calloc(1, sizeof *w);

	if (!w) {
		fn(arg, NULL);
		return;
	}
	*w = (struct held){ .fn = fn, .arg = arg };
	*p->held_last = w;
	p->held_last = &w->next;
	host_event(h, NULL, "fault.held", json_pack("{s:s}", "name", p->name));
}

void fault_reached(struct host *h, const char *name, fault_fn fn, void *arg)
{
	struct fault *p = find(h->faults, name);
	struct ferry_error e = FERRY_ERROR_INIT;

	if (!p || !p->action) {
		fn(arg, NULL);
		return;
	}
	const char *action = p->action;
	if (!strncmp(action, "once-", 5)) {
		action += 5;
		p->action = NULL;
	}
	log_warn("fault point %s reached: %s", name, action);
	if (!strcmp(action, "kill"))
		kill(getpid(), SIGKILL);
	if (!strcmp(action, "hold")) {
		hold(h, p, fn, arg);
		return;
	}
	ferry_fail(&e, EIO, "fault", "fault point %s was set to fail", name);
	fn(arg, &e);
}

void fault_forget(struct host *h, const void *arg)
{
	for (size_t i = 0; h->faults && i < ARRAY_SIZE(points); i++) {
		struct fault *p = &h->faults->all[i];
		struct held **at = &p->held;
		while (*at) {
			struct held *w = *at;
			if (w->arg != arg) {
				at = &w->next;
				continue;
			}
			*at = w->next;
			free(w);
		}
		p->held_last = at;
	}
}

// Tells every running ferry-vgpu; one that does not know the point says so in its own log.
static void tell_vgpus(struct host *h, const char *name, const char *action)
{
	for (struct vm *vm = h->vms; vm; vm = vm->next)
		for (unsigned i = 0; i < vm->n_vgpus; i++)
			if (vm->vgpus[i].link)
				link_request(vm->vgpus[i].link, "fault",
					json_pack("{s:s, s:s}", "name", name, "action", action),
					NULL, 0, NULL, NULL);
}

static const char *known_action(const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
		if (!strcmp(actions[i], text))
			return actions[i];
	return NULL;
}

int faults_set(struct faults *f, const char *text, struct ferry_error *e)
{
	const char *colon = strchr(text, ':');
	char name[40];
	struct fault *p = NULL;

	if (!f->host->config.faults)
		return ferry_fail(
			e, EPERM, "faults-off", "this host's configuration allows no faults");
	if (snprintf(name, sizeof name, "%.*s", colon ? (int)(colon - text) : (int)strlen(text),
		    text) < (int)sizeof name)
		p = find(f, name);
	if (!p)
		return ferry_fail(e, ENOENT, "no-fault", "there is no fault point '%.40s'", text);
	const char *action = known_action(colon ? colon + 1 : "hold");
	if (!action)
		return ferry_fail(e, EINVAL, "no-fault",
			"'%.40s' is not hold, kill or fail, nor once- with one of these",
			colon + 1);
	p->action = action;
	if (of_vgpu(p))
		tell_vgpus(f->host, p->name, action);
	return 0;
}

static void clear_one(struct faults *f, struct fault *p)
{
	bool was_set = p->action || p->vgpus_held;

	p->action = NULL;
	p->vgpus_held = 0;
	if (of_vgpu(p) && was_set)
		tell_vgpus(f->host, p->name, "clear");
	// One at a time: what goes on may forget another that is held here.
	while (p->held) {
		struct held w = *p->held;
		free(p->held);
		p->held = w.next;
		if (!p->held)
			p->held_last = &p->held;
		w.fn(w.arg, NULL);
	}
}

int faults_clear(struct faults *f, const char *name, struct ferry_error *e)
{
	struct fault *p = name ? find(f, name) : NULL;

	if (name && !p)
		return ferry_fail(e, ENOENT, "no-fault", "there is no fault point '%.40s'", name);
	for (size_t i = 0; i < ARRAY_SIZE(points); i++)
		if (!p || p == &f->all[i])
			clear_one(f, &f->all[i]);
	return 0;
}

json_t *faults_list(const struct faults *f)
{
	json_t *all = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(points); i++) {
		const struct fault *p = &f->all[i];
		bool held = p->held || p->vgpus_held;
		if (p->action || held)
			json_array_append_new(all, json_pack("{s:s, s:s?, s:b}", "name", p->name,
							   "action", p->action, "held", held));
	}
	return all;
}

void faults_vgpu_held(struct faults *f, const char *name)
{
	struct fault *p = find(f, name);

	if (!p)
		return;
	p->vgpus_held++;
	if (p->action && !strncmp(p->action, "once-", 5))
		p->action = NULL;
	host_event(f->host, NULL, "fault.held", json_pack("{s:s}", "name", p->name));
}

void faults_for_vgpu(const struct faults *f,
	void (*fn)(void *arg, const char *name, const char *action), void *arg)
{
	for (size_t i = 0; f && i < ARRAY_SIZE(points); i++)
		if (of_vgpu(&f->all[i]) && f->all[i].action)
			fn(arg, f->all[i].name, f->all[i].action);
}
