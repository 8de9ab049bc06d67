// SPDX-License-Identifier: Apache-2.0
// Two hosts over real loopback sockets, and a guest that is now on the one, now on the other: what is
// asked of it is answered, and whoever asks for more than a follower may is refused.
#include "host/guest_route.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/socket.h"
#include "base/test.h"
#include "host/guest_serve.h"
#include "host/host.h"
#include "host/listener.h"
#include "host/peer.h"

#include <sys/socket.h>
#include <unistd.h>

#define JOB "00112233445566aa"

static struct loop *loop;
static struct host hosts[2]; // a and b
static struct vm vms[2];     // the same VM, as each sees it
static struct guest_route *route;
static char dir[64];

// The guest's agent, behind one socket for each host.
static struct guest {
	int listeners[2], fd;
	unsigned at;
	char in[4096], asked[200]; // what it was asked: the operations' first letters
	size_t n;
	bool mute, no_job;
} guest;

static const char *socket_path(unsigned at)
{
	static char text[100];

	snprintf(text, sizeof text, "%s/%u", dir, at);
	return text;
}

static void guest_line(const char *line, size_t n)
{
	_cleanup_json_ json_t *q = json_parse(line, n, "a request", NULL);
	char text[300];

	if (!json_is_object(q))
		return;
	strncat(guest.asked, json_string_or(q, "op", "?"), 1);
	int len = snprintf(text, sizeof text, "{\"id\":%lld,%s}\n",
		(long long)json_int_or(q, "id", 0),
		guest.no_job ? "\"error\":{\"code\":\"no-job\",\"message\":\"there is none\"}"
			     : "\"out\":\"\",\"err\":\"\"");
	if (!guest.mute)
		CHECK_EQ(send(guest.fd, text, (size_t)len, MSG_NOSIGNAL), len);
}

static void guest_turn(void)
{
	char *end;

	if (guest.fd < 0)
		guest.fd = accept4(
			guest.listeners[guest.at], NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (guest.fd < 0)
		return;
	ssize_t n = recv(guest.fd, guest.in + guest.n, sizeof guest.in - guest.n, 0);
	guest.n += n > 0 ? (size_t)n : 0;
	while (guest.n && (end = memchr(guest.in, '\n', guest.n))) {
		size_t len = (size_t)(end - guest.in);
		guest_line(guest.in, len);
		guest.n -= len + 1;
		memmove(guest.in, end + 1, guest.n);
	}
}

static void turn_until(const int *what, int limit_ms)
{
	int64_t end = clock_now_ns() + limit_ms * NSEC_PER_MSEC;

	// Some turns in any case: the time may pass while others have the processor.
	for (int i = 0; !*what && (i < 20 || clock_now_ns() < end); i++) {
		loop_once(loop, 1);
		guest_turn();
	}
}

static void turn(int ms)
{
	int never = 0;

	turn_until(&never, ms);
}

// ---- the hosts ----

static void open_host(unsigned i)
{
	struct host *h = &hosts[i];

	*h = (struct host){ .loop = loop, .vms = &vms[i] };
	snprintf(h->config.host, sizeof h->config.host, "%c", 'a' + (int)i);
	h->listener = listener_new(h, "127.0.0.1:0", NULL);
	CHECK(h->listener);
	vms[i] = (struct vm){ .host = h, .name = "vm", .agent = agent_new(loop) };
	CHECK(vms[i].agent);
}

static void know_each_other(unsigned i)
{
	struct config_peer *p = &hosts[i].config.peers[0];

	hosts[i].config.n_peers = 1;
	snprintf(p->name, sizeof p->name, "%c", 'b' - (int)i);
	snprintf(p->address, sizeof p->address, "127.0.0.1:%d",
		listener_port(hosts[1 - i].listener));
}

// As vm_set_state() does.
static void set_state(unsigned i, enum vm_state state)
{
	vms[i].state = state;
	agent_set_path(vms[i].agent, state == VM_RUNNING ? socket_path(i) : NULL);
	guest_routes_follow(&vms[i]);
	guest_serve_follow(&vms[i]);
}

static void close_guest(void)
{
	if (guest.fd >= 0)
		close(guest.fd);
	guest.fd = -1;
	guest.n = 0;
}

static void move_to(unsigned i)
{
	close_guest();
	guest.at = i;
	set_state(i, VM_RUNNING);
	snprintf(vms[1 - i].owner, sizeof vms[1 - i].owner, "%s", hosts[i].config.host);
	set_state(1 - i, VM_RELEASED);
}

static void begin(void)
{
	loop = loop_new();
	guest = (struct guest){ .fd = -1 };
	for (unsigned i = 0; i < 2; i++) {
		guest.listeners[i] = unix_listen(socket_path(i), NULL);
		CHECK(guest.listeners[i] >= 0);
		fd_set_nonblocking(guest.listeners[i], 1);
		open_host(i);
	}
	know_each_other(0), know_each_other(1);
	move_to(0);
	route = guest_route_new(&hosts[0], &vms[0]);
	CHECK(route);
}

static void end(void)
{
	for (unsigned i = 0; i < 2; i++) {
		guest_routes_close(&hosts[i]);
		guest_serve_close(&hosts[i]);
		peer_close_all(&hosts[i]);
		listener_free(hosts[i].listener);
		agent_free(vms[i].agent);
		close(guest.listeners[i]);
	}
	if (guest.fd >= 0)
		close(guest.fd);
	loop_free(loop);
}

// ---- asking by the route ----

static int answers;
static char code[40];

static void on_answer(void *arg, const json_t *answer, const struct ferry_error *e)
{
	answers++;
	CHECK(!answer != !e);
	snprintf(code, sizeof code, "%s", e ? e->code : "");
}

static void ask(const char *op)
{
	struct agent_way w = guest_route_way(route);

	answers = 0;
	CHECK(w.request(w.at, op, json_pack("{s:s, s:i, s:i}", "job", JOB, "out", 0, "err", 0), 0,
		      on_answer, NULL) > 0);
	CHECK_EQ(answers, 0);
}

static void expect(const char *expected)
{
	turn_until(&answers, 20000);
	CHECK_EQ(answers, 1);
	CHECK_STR(code, expected);
}

static void a_guest_is_asked_wherever_it_is(void)
{
	begin();
	ask("read"), expect("");
	move_to(1);
	ask("read"), expect("");
	CHECK_STR(guest_route_host(route), "b");
	move_to(0);
	ask("read"), expect("");
	CHECK_STR(guest_route_host(route), "a");
	CHECK_STR(guest.asked, "rrr");
	end();
}

static void what_is_under_way_moves_with_it(void)
{
	begin();
	guest.mute = true;
	ask("read");
	turn(20);
	move_to(1);
	turn(100);
	CHECK_EQ(answers, 0);
	move_to(0); // it was being asked there
	guest.mute = false;
	expect("");
	CHECK_STR(guest.asked, "rrr");
	end();
}

static void no_other_host_starts_programs(void)
{
	begin();
	guest.mute = true;
	ask("start");
	turn(20);
	CHECK_STR(guest.asked, "s");
	move_to(1);
	guest.mute = false;
	expect(""); // it had been started
	CHECK_STR(guest.asked, "sr");

	move_to(0);
	guest.mute = true;
	ask("start");
	turn(20);
	move_to(1);
	guest.mute = false, guest.no_job = true;
	expect("not-started");
	CHECK_STR(guest.asked, "srsr");
	end();
}

// Whoever asked has gone by the time the VM is started again.
static void what_a_stopped_vm_was_asked_is_forgotten(void)
{
	begin();
	guest.mute = true;
	ask("read");
	turn(20);
	close_guest();
	set_state(0, VM_STOPPED);
	expect("vm-stopped");
	route = guest_route_free(route);
	guest.mute = false;
	set_state(0, VM_RUNNING);
	turn(200);
	CHECK_EQ(answers, 1);
	CHECK_STR(guest.asked, "r");
	end();
}

static void an_end_is_brought_to_it(void)
{
	begin();
	guest.mute = true;
	ask("end");
	route = guest_route_leave(route);
	turn(20);
	move_to(1);
	guest.mute = false;
	turn(100);
	CHECK_STR(guest.asked, "ee");
	CHECK_EQ(answers, 0);
	CHECK(!hosts[0].routes);
	end();
}

static void hosts_that_send_it_round_in_circles_are_left(void)
{
	begin();
	move_to(1);
	snprintf(vms[1].owner, sizeof vms[1].owner, "a");
	set_state(1, VM_RELEASED);
	ask("read");
	expect("bad-message");
	end();
}

static void a_host_that_nobody_knows_is_said_at_once(void)
{
	begin();
	snprintf(vms[0].owner, sizeof vms[0].owner, "c");
	set_state(0, VM_RELEASED);
	ask("read");
	expect("peer-unreachable");
	end();
}

static void a_stopped_or_forgotten_vm_has_no_guest(void)
{
	begin();
	guest.mute = true;
	ask("read");
	turn(20);
	set_state(0, VM_STOPPED);
	expect("vm-stopped");
	move_to(1);
	ask("read");
	turn(50);
	set_state(1, VM_STOPPED);
	expect("vm-stopped");
	hosts[1].vms = NULL;
	ask("read");
	expect("no-vm");
	end();
}

// ---- a peer that asks for whatever it likes ----

static struct peer *stranger;
static int refused, ready;

static void on_ready(void *arg, struct peer *p)
{
	ready = 1;
}

static void on_refused(void *arg, json_t *ok, const struct ferry_error *e, int *fds, size_t n_fds)
{
	refused++;
	snprintf(code, sizeof code, "%s", e ? e->code : "");
}

static void demand(json_t *args, const char *expected)
{
	CHECK(args);
	refused = 0;
	CHECK_EQ(link_request(peer_link(stranger), "guest", args, NULL, 0, on_refused, NULL), 0);
	turn_until(&refused, 20000);
	CHECK_EQ(refused, 1);
	CHECK_STR(code, expected);
}

static void meet_stranger(void)
{
	static const struct peer_ops ops = { .ready = on_ready };

	ready = 0;
	stranger = peer_connect(&hosts[1], "a", 2000, &ops, NULL);
	CHECK(stranger);
	turn_until(&ready, 20000);
	CHECK(ready);
}

static json_t *question(const char *vm, const char *op, const char *job, json_int_t out)
{
	return json_pack(
		"{s:s, s:s, s:s, s:I, s:i}", "vm", vm, "op", op, "job", job, "out", out, "err", 0);
}

static void nonsense_never_comes_to_the_guest(void)
{
	static const char *const jobs[] = { "", "00", "00112233445566AA", JOB "0",
		"../../etc/passw" };
	static const char *const ops[] = { "", "start", "write", "signal", "ping", "reading-more" };

	begin();
	meet_stranger();
	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++)
		demand(question("vm", "read", jobs[i], 0), "bad-message");
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		demand(question("vm", ops[i], JOB, 0), "bad-message");
	demand(question("vm", "read", JOB, -1), "bad-message");
	demand(question("a-name-that-is-longer-than-any-vm-may-have", "read", JOB, 0),
		"bad-message");
	demand(question("nobody", "read", JOB, 0), "no-vm");
	demand(json_object(), "bad-message");
	demand(json_pack("{s:i, s:[], s:{}}", "vm", 1, "op", "job"), "bad-message");
	demand(json_pack("{s:s, s:s, s:s}", "vm", "vm", "op", "read", "job", JOB), "bad-message");
	CHECK_STR(guest.asked, "");
	demand(question("vm", "read", JOB, INT64_MAX), "");
	CHECK_STR(guest.asked, "r");
	stranger = peer_free(stranger);
	end();
}

static void questions_are_counted_and_die_with_their_connection(void)
{
	begin();
	guest.mute = true;
	meet_stranger();
	for (int i = 0; i < 4; i++)
		CHECK_EQ(link_request(peer_link(stranger), "guest", question("vm", "read", JOB, i),
				 NULL, 0, NULL, NULL),
			0);
	demand(question("vm", "read", JOB, 9), "too-many");
	stranger = peer_free(stranger);
	turn(50);
	CHECK(!hosts[0].guest_servers);
	guest.mute = false;
	turn(1200); // nothing is sent to the guest again
	CHECK_STR(guest.asked, "rrrr");
	end();
}

int main(void)
{
	snprintf(dir, sizeof dir, "/tmp/ferry-route-%d", (int)getpid());
	CHECK_EQ(dir_make(dir, NULL), 0);
	RUN(a_guest_is_asked_wherever_it_is);
	RUN(what_is_under_way_moves_with_it);
	RUN(no_other_host_starts_programs);
	RUN(what_a_stopped_vm_was_asked_is_forgotten);
	RUN(an_end_is_brought_to_it);
	RUN(hosts_that_send_it_round_in_circles_are_left);
	RUN(a_host_that_nobody_knows_is_said_at_once);
	RUN(a_stopped_or_forgotten_vm_has_no_guest);
	RUN(nonsense_never_comes_to_the_guest);
	RUN(questions_are_counted_and_die_with_their_connection);
	CHECK_EQ(path_remove(dir, NULL), 0);
}
