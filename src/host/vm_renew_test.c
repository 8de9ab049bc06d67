// SPDX-License-Identifier: Apache-2.0
// A vGPU that ended, against a scripted QEMU; the ferry-vgpu that is started is this program itself.
#include "host/vm_renew.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/process.h"
#include "base/socket.h"
#include "base/test.h"
#include "host/host.h"
#include "host/inventory.h"
#include "host/test_folder.h"
#include "host/vm_link.h"
#include "vgpu/protocol/protocol.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define PORTS 3

// ---- the program that is started

static void on_request(
	void *arg, struct link *k, int64_t id, const char *op, json_t *args, int *fds, size_t n_fds)
{
	link_answer(k, id, json_pack("{s:s}", "tracker", "none"));
}

static void on_closed(void *arg, struct link *k, const struct ferry_error *why)
{
	exit(0);
}

static int be_vgpu(const char *path)
{
	static const struct link_ops ops = { .request = on_request, .closed = on_closed };
	struct loop *l = loop_new();
	int listener = unix_listen(path, NULL);

	if (listener < 0 || !link_new(l, accept(listener, NULL, NULL), &ops, NULL))
		return 1;
	return loop_run(l);
}

// ---- QEMU, and the VM

static struct host h = { .config = { .host = "a" } };
static struct vm *vm;
static struct vm_vgpu *g;
static int monitor;
static char asked[2000];       // since the last look
static int given[PORTS];       // QEMU's ends of the ports; -1: none
static int last_fd;            // that came with the last commands
static const char *refused;    // a word of what is refused, or NULL
static const char *unanswered; // of what has no answer
static int open_port, held_port;

static json_t *qtree(void)
{
	char text[120];

	snprintf(text, sizeof text,
		"dev: virtserialport, id \"gpu0p%d\"\r\nport 3, guest off, host off, throttle "
		"on\r\n",
		held_port);
	return json_string(text);
}

static json_t *chardevs(void)
{
	json_t *all = json_array();
	char label[24];

	for (int i = 0; i < PORTS; i++) {
		snprintf(label, sizeof label, "gpu0p%d", i);
		json_array_append_new(
			all, json_pack("{s:s, s:b, s:s}", "label", label, "frontend-open",
				     i == open_port, "filename", "disconnected:fd:20"));
	}
	return all;
}

static json_t *do_command(const char *what, const json_t *args)
{
	char word[80];

	if (!strcmp(what, "getfd"))
		given[atoi(json_string_or(args, "fdname", "gpu0p0") + 5)] = last_fd;
	snprintf(word, sizeof word, "%s%s%s%s ", what, json_string_or(args, "fdname", ""),
		json_string_or(args, "id", ""),
		json_string_or(json_object_get(args, "backend"), "type", ""));
	strncat(asked, word, sizeof asked - strlen(asked) - 1);
	return !strcmp(what, "query-chardev")           ? chardevs()
	       : !strcmp(what, "human-monitor-command") ? qtree()
							: json_object();
}

static void answer(const char *line, size_t n)
{
	json_t *doc = json_parse(line, n, "a command", NULL);
	const char *what = json_string_or(doc, "execute", "");
	json_t *ret = do_command(what, json_object_get(doc, "arguments"));
	json_t *reply = json_pack("{s:O}", "id", json_object_get(doc, "id"));

	if (refused && strstr(asked, refused))
		json_object_set_new(reply, "error", json_pack("{s:s}", "desc", "no"));
	else
		json_object_set(reply, "return", ret);
	char *text = json_dumps(reply, JSON_COMPACT);
	if (!unanswered || !strstr(asked, unanswered)) {
		CHECK_EQ(send(monitor, text, strlen(text), 0), strlen(text));
		CHECK_EQ(send(monitor, "\n", 1, 0), 1);
	}
	free(text);
	json_decref(ret);
	json_decref(reply);
	json_decref(doc);
}

static void qemu_turn(void)
{
	char text[8192], control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
	struct iovec to = { text, sizeof text };
	struct msghdr m = { .msg_iov = &to,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof control };
	ssize_t n = recvmsg(monitor, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	const char *end;

	if (n > 0 && CMSG_FIRSTHDR(&m))
		memcpy(&last_fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof last_fd);
	for (const char *at = text; n > 0 && (end = memchr(at, '\n', (size_t)n)); at = end + 1) {
		answer(at, (size_t)(end - at));
		n -= end + 1 - at;
	}
}

static bool is_back(void)
{
	return !vm_renew_is_on(g);
}

static bool is_stopped(void)
{
	return vm->state == VM_STOPPED;
}

static bool was_unanswered(void)
{
	return strstr(asked, unanswered);
}

static bool is_again(void)
{
	return g->renew.times == 2;
}

static bool never(void)
{
	return false;
}

// True: it came within `ms`.
static bool turn_until(bool (*over)(void), int ms)
{
	int64_t end = clock_now_ns() + ms * NSEC_PER_MSEC;

	while (!over() && clock_now_ns() < end) {
		loop_once(h.loop, 2);
		qemu_turn();
	}
	return over();
}

static void start_monitor(void)
{
	static const struct qmp_handlers handlers;
	const char *hello = "{\"QMP\":{\"version\":{\"qemu\":{\"major\":7}},\"capabilities\":[]}}\n"
			    "{\"return\":{},\"id\":0}\n";
	char text[400];
	int q[2];

	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, q), 0);
	monitor = q[1];
	vm->qmp = qmp_new(h.loop, q[0], &handlers, NULL, NULL);
	CHECK_EQ(send(monitor, hello, strlen(hello), 0), strlen(hello));
	while (!qmp_ready(vm->qmp))
		loop_once(h.loop, 2);
	loop_once(h.loop, 2);
	CHECK(recv(monitor, text, sizeof text, 0) > 0); // its qmp_capabilities
}

// A process that stands for QEMU's.
static void start_qemu(void)
{
	pid_t parent = getpid(), pid = fork();

	if (!pid) {
		if (process_tie(parent) == 0)
			pause();
		_exit(0);
	}
	CHECK_EQ(vm_watch_process(vm, -1, pid, process_start_time(pid), NULL), 0);
	start_monitor();
}

static void begin(void)
{
	json_t *request = json_pack(
		"{s:s, s:s, s:i}", "name", "vm", "profile", "ferry_cpu-05q", "ports", PORTS);
	json_t *config = vm_doc_from_request(request, NULL);

	json_decref(request);
	json_object_set_new(config, "machine", json_string("pc-q35-7.2"));
	vm_doc_add_network(config, &h.config, 0);
	vm = vm_new(&h, config, NULL);
	CHECK(vm);
	g = &vm->vgpus[0];
	vm->state = VM_RUNNING;
	asked[0] = 0;
	refused = unanswered = NULL;
	open_port = held_port = -1;
	for (int i = 0; i < PORTS; i++)
		given[i] = -1;
	start_qemu();
}

static void end(void)
{
	vm_kill(vm, NULL, NULL);
	for (int i = 0; i < 2000 && vm->kill; i++)
		loop_once(h.loop, 2);
	CHECK(!vm_has_processes(vm));
	vm_free(vm);
	for (int i = 0; i < PORTS; i++)
		if (given[i] >= 0)
			close(given[i]);
	close(monitor);
}

// What the guest reads first on a port: so many bytes.
static size_t first_bytes(int port)
{
	static uint8_t text[2 * PROTO_FRAME_MAX];
	ssize_t n = recv(given[port], text, sizeof text, MSG_DONTWAIT);

	for (ssize_t i = 0; i < n; i++)
		CHECK_EQ(text[i], PROTO_LOST);
	return n > 0 ? (size_t)n : 0;
}

#define LOOKS    "human-monitor-command query-chardev "
#define PORT(id) "getfd" id " chardev-change" id "socket "

static void it_is_replaced_and_programs_are_told(void)
{
	begin();
	open_port = 1;
	CHECK(vm_renew(g, "signal 11"));
	CHECK_EQ(vm_renew_refuse(vm, NULL), -ENODEV);
	CHECK(turn_until(is_back, 10000));
	CHECK_STR(asked, LOOKS PORT("gpu0p0") PORT("gpu0p1") PORT("gpu0p2"));
	CHECK(g->process.pid && g->link);
	CHECK_EQ(g->renew.times, 1);
	CHECK_EQ(first_bytes(0), 0);
	CHECK_EQ(first_bytes(1), PROTO_FRAME_MAX);
	CHECK_EQ(first_bytes(2), 0);
	CHECK_EQ(vm->state, VM_RUNNING);
	end();
}

static void a_port_that_is_held_back_is_closed_once_more(void)
{
	begin();
	held_port = 1;
	CHECK(vm_renew(g, "signal 11"));
	CHECK(turn_until(is_back, 10000));
	CHECK_STR(asked,
		LOOKS PORT("gpu0p0") "chardev-changegpu0p1ringbuf chardev-changegpu0p1null " PORT(
			"gpu0p1") PORT("gpu0p2"));
	end();
}

static void a_migration_comes_first(void)
{
	begin();
	vm->migration = (struct migration *)&h;
	CHECK(vm_renew(g, "signal 11"));
	CHECK(!turn_until(is_back, 600));
	CHECK_STR(asked, "");
	vm->migration = NULL;
	CHECK(turn_until(is_back, 10000));
	end();
}

static void only_a_vm_that_runs_gets_another(void)
{
	static const enum vm_state states[] = { VM_INCOMING, VM_SEALED, VM_COMMITTED, VM_UNKNOWN };

	begin();
	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		vm->state = states[i];
		CHECK(!vm_renew(g, "signal 11"));
		vm_renew_look(vm);
		CHECK(is_back());
	}
	vm->state = VM_RUNNING; // a migration ended, and nobody saw to it
	vm_renew_look(vm);
	CHECK(!is_back());
	CHECK(turn_until(is_back, 10000));
	end();
}

static void what_qemu_refuses_ends_the_vm(void)
{
	begin();
	refused = "chardev-changegpu0p1";
	CHECK(vm_renew(g, "signal 11"));
	CHECK(turn_until(is_stopped, 10000));
	CHECK(is_back() && !vm_has_processes(vm));
	end();
}

static void what_cannot_be_started_ends_the_vm(void)
{
	char programs[sizeof h.config.programs];

	begin();
	memcpy(programs, h.config.programs, sizeof programs);
	strcpy(h.config.programs, "/nowhere");
	CHECK(vm_renew(g, "signal 11"));
	CHECK(turn_until(is_stopped, 10000));
	memcpy(h.config.programs, programs, sizeof programs);
	end();
}

static void one_that_ends_while_it_joins_is_replaced_later(void)
{
	begin();
	unanswered = "getfdgpu0p1";
	CHECK(vm_renew(g, "signal 11"));
	CHECK(turn_until(was_unanswered, 10000));
	CHECK_EQ(kill(g->process.pid, SIGKILL), 0);
	CHECK(turn_until(is_again, 10000));
	int64_t since = clock_now_ns();
	const char *late = "{\"return\":{},\"id\":5}\n";
	unanswered = NULL;
	asked[0] = 0;
	CHECK_EQ(send(monitor, late, strlen(late), 0), strlen(late));
	CHECK(turn_until(is_back, 10000));
	CHECK(clock_now_ns() - since > 800 * NSEC_PER_MSEC);
	CHECK_STR(asked, LOOKS PORT("gpu0p0") PORT("gpu0p1") PORT("gpu0p2"));
	end();
}

static void a_vm_that_is_ended_meanwhile_gets_none(void)
{
	begin();
	unanswered = "getfdgpu0p1";
	CHECK(vm_renew(g, "signal 11"));
	CHECK(turn_until(was_unanswered, 10000));
	vm_kill(vm, NULL, NULL);
	CHECK(is_back());
	turn_until(never, 400);
	CHECK(!vm_has_processes(vm) && !vm->kill);
	end();
	begin();
	CHECK(vm_renew(g, "signal 11"));
	vm_kill(vm, NULL, NULL);
	turn_until(never, 400);
	CHECK(!vm_has_processes(vm));
	end();
}

static void it_waits_longer_each_time(void)
{
	CHECK_EQ(vm_renew_delay_ns(0), 200 * NSEC_PER_MSEC);
	CHECK_EQ(vm_renew_delay_ns(1), NSEC_PER_SEC);
	CHECK_EQ(vm_renew_delay_ns(2), 2 * NSEC_PER_SEC);
	CHECK_EQ(vm_renew_delay_ns(5), 16 * NSEC_PER_SEC);
	CHECK_EQ(vm_renew_delay_ns(6), 30 * NSEC_PER_SEC);
	CHECK_EQ(vm_renew_delay_ns(4000000000u), 30 * NSEC_PER_SEC);
}

static void set_up(void)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	CHECK(n > 0);
	self[n] = 0;
	test_folder_enter();
	CHECK_EQ(dir_make("vms", NULL), 0);
	CHECK_EQ(dir_make("bin", NULL), 0);
	CHECK_EQ(symlink(self, "bin/ferry-vgpu"), 0);
	snprintf(h.config.state, sizeof h.config.state, "%s", test_folder_path);
	snprintf(h.config.programs, sizeof h.config.programs, "%s/bin", test_folder_path);
	strcpy(h.config.tracker, "auto");
	h.loop = loop_new();
	h.inventory = inventory_open("ferry.db", NULL);
	CHECK(h.loop && h.inventory);
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "--control"))
		return be_vgpu(argv[2]);
	set_up();
	RUN(it_waits_longer_each_time);
	RUN(it_is_replaced_and_programs_are_told);
	RUN(a_port_that_is_held_back_is_closed_once_more);
	RUN(a_migration_comes_first);
	RUN(only_a_vm_that_runs_gets_another);
	RUN(what_qemu_refuses_ends_the_vm);
	RUN(what_cannot_be_started_ends_the_vm);
	RUN(one_that_ends_while_it_joins_is_replaced_later);
	RUN(a_vm_that_is_ended_meanwhile_gets_none);
	inventory_close(h.inventory);
	loop_free(h.loop);
}
