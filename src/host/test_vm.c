// SPDX-License-Identifier: Apache-2.0
#include "host/test_vm.h"
#include "base/clock.h"
#include "base/process.h"
#include "base/socket.h"
#include "host/inventory.h"
#include "host/test_folder.h"

#include <sys/socket.h>

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

struct host h = { .config = { .host = "a" } };
struct vm *vm;
struct vm_vgpu *g;
int monitor;
char asked[2000];
int given[PORTS];
static int last_fd; // that came with the last commands
const char *refused, *unanswered;
int open_port, held_port;

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
		// Who asked may be gone: a VM that has stopped.
		send(monitor, text, strlen(text), MSG_NOSIGNAL);
		send(monitor, "\n", 1, MSG_NOSIGNAL);
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

bool is_back(void)
{
	return !vm_renew_is_on(g);
}

bool is_stopped(void)
{
	return vm->state == VM_STOPPED;
}

bool was_unanswered(void)
{
	return strstr(asked, unanswered);
}

bool is_again(void)
{
	return g->renew.times == 2;
}

bool never(void)
{
	return false;
}

bool turn_until(bool (*over)(void), int ms)
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

void test_vm_begin(void)
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

void test_vm_end(void)
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

void test_vm_set_up(int argc, char **argv)
{
	char self[4096];
	if (argc > 2 && !strcmp(argv[1], "--control"))
		exit(be_vgpu(argv[2]));
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

int test_vm_tear_down(void)
{
	inventory_close(h.inventory);
	loop_free(h.loop);
	return 0;
}
