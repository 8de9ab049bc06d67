// SPDX-License-Identifier: Apache-2.0
#include "host/guest_route.h"
#include "base/clock.h"
#include "base/log.h"
#include "host/host.h"
#include "host/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONNECT_MS 5000
#define RETRY_NS   (500 * NSEC_PER_MSEC)
#define MOVED_NS   (50 * NSEC_PER_MSEC) // hosts that send us round in circles do so slowly
#define SILENT_NS  (20 * NSEC_PER_SEC)  // without a word, of a host that cannot be reached
#define MAX_HOPS   20                   // from host to host without an answer

struct guest_route {
	struct guest_route *next;
	struct host *host;
	char vm[VM_NAME_MAX + 1];
	char at[HOST_NAME_MAX_BYTES + 1];
	struct watch *timer; // the next attempt, or the request's end
	bool left;           // by its user

	// The request; id 0: none.
	int64_t id, last_id;
	const char *op; // "start", "read" or "end"
	json_t *args;
	bool was_start; // and is now the question whether the program was started
	int64_t deadline_ns;
	int64_t silent_ns; // since when nothing was heard of `at`
	unsigned hops;
	agent_reply_fn fn;
	void *arg;

	int64_t local_id;  // of the client here; 0: not under way there
	struct peer *peer; // to `at`, when that is another host
	bool peer_ready, peer_asked;
};

static bool is_here(const struct guest_route *g)
{
	return !strcmp(g->at, g->host->config.host);
}

// ---- the request's end ----

static void forget_local(struct guest_route *g)
{
	struct vm *vm = g->local_id ? vm_find(g->host, g->vm) : NULL;

	if (vm)
		agent_forget(vm->agent, g->local_id);
	g->local_id = 0;
}

static void drop_peer(struct guest_route *g)
{
	struct peer *p = g->peer;

	g->peer = NULL;
	g->peer_ready = g->peer_asked = false;
	peer_free(p);
}

// A late answer must not be taken for another's, nor find the route gone.
static void drop_request(struct guest_route *g)
{
	forget_local(g);
	if (g->peer_asked)
		drop_peer(g);
	g->id = 0;
	json_decref(g->args);
	g->args = NULL;
	g->was_start = false;
	watch_set_timer(g->timer, -1);
}

// The last thing that its caller does: the route may be gone afterwards.
static void answer(struct guest_route *g, const json_t *doc, const struct ferry_error *e)
{
	agent_reply_fn fn = g->fn;
	struct ferry_error why = FERRY_ERROR_INIT;
	bool was_start = g->was_start;

	drop_request(g);
	if (g->left) {
		guest_route_free(g);
		return;
	}
	if (was_start && e && !strcmp(e->code, "no-job")) {
		ferry_fail(&why, EREMOTE, "not-started",
			"VM '%s' moved to host %s before the program was started; nothing was run",
			g->vm, g->at);
		ferry_error_remedy(&why, "give the command to host %s", g->at);
		e = &why;
	}
	if (fn)
		fn(g->arg, doc, e);
}

static void fail(struct guest_route *g, int err, const char *code, const char *text)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	ferry_fail(&e, err, code, "VM '%s' on host %s: %s", g->vm, g->at, text);
	answer(g, NULL, &e);
}

// ---- here ----

static void on_local(void *arg, const json_t *doc, const struct ferry_error *e)
{
	struct guest_route *g = arg;

	g->local_id = 0;
	answer(g, doc, e);
}

static void ask_here(struct guest_route *g)
{
	struct vm *vm = vm_find(g->host, g->vm);
	int64_t left_ms = (g->deadline_ns - clock_now_ns()) / NSEC_PER_MSEC;

	if (!vm)
		fail(g, ENOENT, "no-vm", "there is no such VM any more");
	else if (vm->state == VM_STOPPED)
		fail(g, ECHILD, "vm-stopped", "it has stopped");
	else if (!g->local_id) {
		g->local_id = agent_request(vm->agent, g->op, json_deep_copy(g->args),
			left_ms > 1 ? (int)left_ms : 1, on_local, g);
		if (g->local_id < 0)
			fail(g, ENOMEM, "no-memory", "no memory to ask the guest's agent");
	}
}

// ---- another host ----

static void try_at(struct guest_route *g, int64_t at_ns)
{
	watch_set_timer(g->timer, at_ns < g->deadline_ns ? at_ns : g->deadline_ns);
}

// What was asked at the old place is asked again at the new one, but for a `start`: no host runs
// programs for another. Whether it was started is known to the guest.
static void go_to(struct guest_route *g, const char *host, int64_t wait_ns)
{
	forget_local(g);
	drop_peer(g);
	log_debug("%s: its guest is asked on host %.32s from now on", g->vm, host);
	snprintf(g->at, sizeof g->at, "%s", host);
	g->silent_ns = clock_now_ns();
	if (!g->id)
		return;
	if (!strcmp(g->op, "start")) {
		g->op = "read";
		g->was_start = true;
		json_t *read = json_pack("{s:O, s:i, s:i}", "job", json_object_get(g->args, "job"),
			"out", 0, "err", 0);
		json_decref(g->args);
		g->args = read;
	}
	try_at(g, clock_now_ns() + wait_ns);
}

static void on_answer(void *arg, json_t *ok, const struct ferry_error *e, int *fds, size_t n_fds)
{
	struct guest_route *g = arg;
	const char *moved = json_string_or(ok, "moved", NULL);
	const json_t *doc = json_object_get(ok, "answer");

	for (size_t i = 0; i < n_fds; i++)
		close(fds[i]);
	if (!g->peer_asked || (e && !strcmp(e->code, "link-lost")))
		return; // given up meanwhile; or `closed` comes
	g->peer_asked = false;
	if (e)
		answer(g, NULL, e);
	else if (moved && (vm_name_check(moved, NULL) < 0 || ++g->hops > MAX_HOPS))
		fail(g, EPROTO, "bad-message", "its host says nothing sensible of where it went");
	else if (moved)
		go_to(g, moved, MOVED_NS);
	else if (json_is_object(doc))
		answer(g, doc, NULL);
	else
		fail(g, EPROTO, "bad-message", "its host answered nonsense");
}

static void ask_peer(struct guest_route *g)
{
	if (!g->id || !g->peer_ready || g->peer_asked)
		return;
	json_t *args = json_deep_copy(g->args);

	json_object_set_new(args, "vm", json_string(g->vm));
	json_object_set_new(args, "op", json_string(g->op));
	g->peer_asked = link_request(peer_link(g->peer), "guest", args, NULL, 0, on_answer, g) == 0;
	try_at(g, g->deadline_ns); // a broken link says so by `closed`
}

static void on_peer_ready(void *arg, struct peer *p)
{
	struct guest_route *g = arg;

	g->peer_ready = true;
	ask_peer(g);
}

static void on_peer_closed(void *arg, struct peer *p, const struct ferry_error *why)
{
	struct guest_route *g = arg;
	int64_t now = clock_now_ns();
	bool unknown = !strcmp(why->code, "peer-unknown");
	struct ferry_error e = *why;

	if (g->peer_ready)
		g->silent_ns = now;
	drop_peer(g);
	if (!g->id)
		return;
	if (unknown || now - g->silent_ns > SILENT_NS)
		fail(g, EHOSTUNREACH, "peer-unreachable", e.message);
	else
		try_at(g, now + RETRY_NS);
}

static void ask_there(struct guest_route *g)
{
	static const struct peer_ops ops = { .ready = on_peer_ready, .closed = on_peer_closed };

	if (g->peer) {
		ask_peer(g);
		return;
	}
	g->peer = peer_connect(g->host, g->at, CONNECT_MS, &ops, g);
	if (g->peer)
		try_at(g, g->deadline_ns);
	else
		fail(g, ENOMEM, "no-memory", "no memory for a connection");
}

static void on_timer(void *arg)
{
	struct guest_route *g = arg;
	struct vm *vm = vm_find(g->host, g->vm);

	if (!g->id)
		return;
	if (is_here(g) && vm && vm->state == VM_RELEASED && strcmp(vm->owner, g->at))
		go_to(g, vm->owner, MOVED_NS);
	else if (clock_now_ns() >= g->deadline_ns ||
		 (!is_here(g) && !g->peer_ready && clock_now_ns() - g->silent_ns > SILENT_NS))
		fail(g, ETIMEDOUT, is_here(g) ? "agent-silent" : "peer-unreachable",
			"it does not answer");
	else if (is_here(g))
		ask_here(g);
	else
		ask_there(g);
}

// ---- for its user ----

static int64_t way_request(
	void *at, const char *op, json_t *args, int limit_ms, agent_reply_fn fn, void *arg)
{
	struct guest_route *g = at;
	int64_t limit = limit_ms > 0 ? limit_ms : AGENT_LIMIT_MS;

	if (g->id || !args) {
		json_decref(args);
		return -EBUSY;
	}
	g->id = ++g->last_id;
	g->op = op;
	g->args = args;
	g->fn = fn;
	g->arg = arg;
	g->hops = 0;
	g->silent_ns = clock_now_ns();
	g->deadline_ns = g->silent_ns + limit * NSEC_PER_MSEC;
	watch_set_timer(g->timer, g->silent_ns); // sent from the loop
	return g->id;
}

static void way_forget(void *at, int64_t id)
{
	struct guest_route *g = at;

	if (g->id && g->id == id)
		drop_request(g);
}

struct guest_route *guest_route_new(struct host *h, const struct vm *vm)
{
	struct guest_route *g = calloc(1, sizeof *g);

	if (!g)
		return NULL;
	*g = (struct guest_route){ .host = h, .next = h->routes };
	snprintf(g->vm, sizeof g->vm, "%s", vm->name);
	snprintf(g->at, sizeof g->at, "%s", vm->state == VM_RELEASED ? vm->owner : h->config.host);
	h->routes = g;
	g->timer = loop_timer(h->loop, -1, on_timer, g);
	return g->timer ? g : guest_route_free(g);
}

struct agent_way guest_route_way(struct guest_route *g)
{
	return (struct agent_way){
		.request = way_request, .forget = way_forget, .loop = g->host->loop, .at = g
	};
}

const char *guest_route_host(const struct guest_route *g)
{
	return g->at;
}

struct guest_route *guest_route_free(struct guest_route *g)
{
	if (!g)
		return NULL;
	struct guest_route **at = &g->host->routes;
	while (*at && *at != g)
		at = &(*at)->next;
	if (*at)
		*at = g->next;
	forget_local(g);
	drop_peer(g);
	watch_remove(g->timer);
	json_decref(g->args);
	free(g);
	return NULL;
}

struct guest_route *guest_route_leave(struct guest_route *g)
{
	if (g && g->id)
		g->left = true;
	else
		guest_route_free(g);
	return NULL;
}

// ---- what becomes of VMs here ----

void guest_routes_follow(struct vm *vm)
{
	for (struct guest_route *g = vm->host->routes; g; g = g->next) {
		if (strcmp(g->vm, vm->name))
			continue;
		if (is_here(g) && vm->state == VM_RELEASED)
			go_to(g, vm->owner, 0);
		else if (!is_here(g) && vm->state == VM_RUNNING)
			go_to(g, g->host->config.host, 0); // it came back
		else if (is_here(g) && vm->state == VM_STOPPED && g->id)
			watch_set_timer(g->timer, clock_now_ns());
	}
}

void guest_routes_forget(struct vm *vm)
{
	for (struct guest_route *g = vm->host->routes; g; g = g->next)
		if (is_here(g) && !strcmp(g->vm, vm->name) && g->id) {
			forget_local(g);
			watch_set_timer(g->timer, clock_now_ns());
		}
}

void guest_routes_close(struct host *h)
{
	while (h->routes)
		guest_route_free(h->routes);
}
