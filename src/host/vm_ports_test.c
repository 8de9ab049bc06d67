// SPDX-License-Identifier: Apache-2.0
// The three steps after a port's close, against a scripted QEMU and a scripted ferry-vgpu.
#include "host/vm_ports.h"
#include "base/test.h"
#include "host/host.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static struct host host;
static struct vm vm;
static struct vm_vgpu *g = &vm.vgpus[0];
static int monitor;      // QEMU's end
static struct link *gpu; // ferry-vgpu's end
static int qmp_id;
static char asked[400];     // of the vGPU, since the last look
static int64_t there[32];   // the session on each port
static const char *refusal; // a code, or NULL

static void on_request(
	void *arg, struct link *k, int64_t id, const char *op, json_t *args, int *fds, size_t n_fds)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	int64_t index = json_int_or(args, "index", 0), session = json_int_or(args, "session", -1);
	size_t at = strlen(asked);

	CHECK_STR(op, "ports.closed");
	snprintf(asked + at, sizeof asked - at, "%d:%d ", (int)index, (int)session);
	if (refusal) {
		ferry_fail(&e, EINVAL, refusal, "refused");
		link_refuse(k, id, &e);
		return;
	}
	if (session && there[index] == session)
		there[index] = 0;
	link_answer(k, id, json_pack("{s:I}", "session", (json_int_t)there[index]));
}

static void turn(void)
{
	for (int i = 0; i < 8; i++)
		loop_once(host.loop, 2);
}

static void say(const char *line)
{
	CHECK_EQ(write(monitor, line, strlen(line)), strlen(line));
	turn();
}

static bool qemu_heard(const char *command)
{
	char text[4096];
	ssize_t n = recv(monitor, text, sizeof text - 1, MSG_DONTWAIT);

	text[n > 0 ? n : 0] = 0;
	return strstr(text, command) != NULL;
}

// Whether QEMU was asked for its character devices; then it answers that port 3 is `open`.
static bool qemu_asked(bool open)
{
	char line[200];

	if (!qemu_heard("query-chardev"))
		return false;
	snprintf(line, sizeof line,
		"{\"return\":[{\"label\":\"gpu0p2\",\"frontend-open\":%s},"
		"{\"label\":\"gpu0p3\",\"frontend-open\":%s}],\"id\":%d}\r\n",
		open ? "false" : "true", open ? "true" : "false", ++qmp_id);
	say(line);
	return true;
}

static void saw(const char *expected)
{
	turn();
	CHECK_STR(asked, expected);
	asked[0] = 0;
}

static void changed(const char *id, bool open)
{
	json_t *data = json_pack("{s:s, s:b}", "id", id, "open", open);

	vm_ports_changed(&vm, data);
	json_decref(data);
	turn();
}

static void begin(void)
{
	static const struct link_ops ops = { .request = on_request };
	static const struct qmp_handlers handlers;
	int q[2], k[2];

	host.loop = loop_new();
	vm = (struct vm){ .host = &host, .name = "vm", .n_vgpus = 1, .n_ports = 31 };
	g->vm = &vm;
	memset(there, 0, sizeof there);
	refusal = NULL;
	qmp_id = 0;
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, q), 0);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, k), 0);
	monitor = q[1];
	vm.qmp = qmp_new(host.loop, q[0], &handlers, NULL, NULL);
	g->link = link_new(host.loop, k[0], NULL, NULL);
	gpu = link_new(host.loop, k[1], &ops, NULL);
	CHECK(vm.qmp && g->link && gpu);
	say("{\"QMP\":{\"version\":{\"qemu\":{\"major\":7,\"minor\":2,\"micro\":9}},"
	    "\"capabilities\":[]}}\r\n");
	say("{\"return\":{},\"id\":0}\r\n");
	CHECK(qmp_ready(vm.qmp));
	CHECK(!qemu_asked(false));
}

static void end(void)
{
	g->link = link_free(g->link);
	vm_ports_forget(g);
	vm.qmp = qmp_free(vm.qmp);
	link_free(gpu);
	close(monitor);
	loop_free(host.loop);
}

static void a_closed_ports_session_ends(void)
{
	begin();
	there[3] = 7;
	changed("gpu0p3", false);
	saw("3:0 ");
	CHECK(qemu_asked(false));
	saw("3:7 ");
	CHECK_EQ(there[3], 0);
	CHECK(!qemu_asked(false));
	end();
}

static void an_open_ports_session_stays(void)
{
	begin();
	there[3] = 7;
	changed("gpu0p3", false); // of the one before
	saw("3:0 ");
	CHECK(qemu_asked(true));
	saw("");
	CHECK_EQ(there[3], 7);
	end();
}

static void one_that_came_meanwhile_is_looked_at_anew(void)
{
	begin();
	there[3] = 7;
	changed("gpu0p3", false);
	saw("3:0 ");
	there[3] = 8; // its hello is read after the first look
	CHECK(qemu_asked(false));
	saw("3:7 ");
	CHECK_EQ(there[3], 8);
	CHECK(qemu_asked(true)); // only an answer later than its hello says that it is gone
	saw("");
	CHECK_EQ(there[3], 8);
	end();
}

static void other_ports_are_nobodys_business(void)
{
	static const char *const ids[] = { "", "gpu", "gpu0p", "gpu1p0", "gpu0p31", "gpu0p1x",
		"agent", "gpu0p-1" };

	begin();
	for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
		changed(ids[i], false);
	changed("gpu0p3", true);
	vm_ports_changed(&vm, NULL);
	saw("");
	changed("gpu0p3", false); // nothing is on it: QEMU need not be asked
	saw("3:0 ");
	CHECK(!qemu_asked(false));
	end();
}

static void a_closed_gate_defers_it(void)
{
	begin();
	there[3] = 7;
	refusal = "bad-state";
	changed("gpu0p3", false);
	changed("gpu0p3", false);
	saw("3:0 ");
	refusal = NULL;
	for (int i = 0; i < 100 && !asked[0]; i++)
		loop_once(host.loop, 10);
	saw("3:0 ");
	CHECK(qemu_asked(false));
	saw("3:7 ");
	end();
}

static void what_was_missed_is_looked_at(void)
{
	begin();
	there[2] = 5;
	there[3] = 7;
	vm_ports_look(&vm);
	turn();
	CHECK(qemu_asked(false)); // port 2 is open, port 3 is not; others it does not name
	saw("3:0 ");
	CHECK(qemu_asked(false));
	saw("3:7 ");
	CHECK_EQ(there[2], 5);
	CHECK_EQ(there[3], 0);
	vm_ports_look(&vm);
	turn();
	CHECK(qemu_asked(false));
	saw("3:0 "); // nothing is on it
	CHECK(!qemu_asked(false));
	end();
}

// Whether QEMU was asked for its tree; then it answers that the guest has port 3 open, or not.
static bool qemu_asked_tree(bool open)
{
	char line[200];

	if (!qemu_heard("info qtree"))
		return false;
	snprintf(line, sizeof line,
		"{\"return\":\"dev: virtserialport, id \\\"gpu0p3\\\"\\r\\nport 5, guest %s, host "
		"on, "
		"throttle off\",\"id\":%d}\r\n",
		open ? "on" : "off", ++qmp_id);
	say(line);
	return true;
}

static void of_a_replaced_vgpu_qemu_is_asked_twice(void)
{
	begin();
	g->renew.times = 1;
	there[3] = 7;
	for (int open = 1; open >= 0; open--) {
		changed("gpu0p3", false);
		saw("3:0 ");
		CHECK(qemu_asked(false));
		saw("");
		CHECK(qemu_asked_tree(open));
		saw(open ? "" : "3:7 ");
		CHECK_EQ(there[3], open ? 7 : 0);
	}
	end();
}

static void a_lost_connection_ends_nothing(void)
{
	begin();
	there[3] = 7;
	changed("gpu0p3", false);
	saw("3:0 ");
	vm.qmp = qmp_free(vm.qmp);
	vm_ports_forget(g);
	turn();
	changed("gpu0p3", false);
	saw("3:0 ");
	CHECK_EQ(there[3], 7);
	end();
}

int main(void)
{
	RUN(a_closed_ports_session_ends);
	RUN(an_open_ports_session_stays);
	RUN(one_that_came_meanwhile_is_looked_at_anew);
	RUN(other_ports_are_nobodys_business);
	RUN(a_closed_gate_defers_it);
	RUN(what_was_missed_is_looked_at);
	RUN(of_a_replaced_vgpu_qemu_is_asked_twice);
	RUN(a_lost_connection_ends_nothing);
}
