// SPDX-License-Identifier: Apache-2.0
#include "machine.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/process.h"
#include "base/test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIDS_MAX 16

static pid_t pids[PIDS_MAX];
static char guarded_dir[128];

static void kill_all(void)
{
	for (size_t i = 0; i < PIDS_MAX; i++)
		if (pids[i] > 0)
			kill(pids[i], SIGKILL);
}

static void at_exit(void)
{
	kill_all();
	path_remove(guarded_dir, NULL);
}

// Async-signal-safe, so the folder stays; the message says where it is.
static void on_signal(int signo)
{
	kill_all();
	static const char text[] = "the test was ended by a signal or its time limit; see ";
	if (write(2, text, sizeof text - 1) < 0 || write(2, guarded_dir, strlen(guarded_dir)) < 0)
		_exit(1);
	_exit(1);
}

void machines_guard(const char *dir, unsigned limit_s)
{
	snprintf(guarded_dir, sizeof guarded_dir, "%s", dir);
	atexit(at_exit);
	signal(SIGALRM, on_signal);
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	alarm(limit_s);
}

void machines_guard_pid(pid_t pid)
{
	for (size_t i = 0; i < PIDS_MAX; i++)
		if (!pids[i]) {
			pids[i] = pid;
			return;
		}
	CHECK(!"too many processes");
}

void machine_turn(struct loop *l)
{
	CHECK_EQ(loop_once(l, 20), 0);
}

static void on_event(void *arg, const char *name, const json_t *data, int64_t wall_ns)
{
	struct machine *m = arg;

	if (!strcmp(name, "MIGRATION"))
		snprintf(m->migration, sizeof m->migration, "%s",
			json_string_or(data, "status", ""));
	else if (!strcmp(name, "STOP"))
		m->stop_ns = wall_ns;
	else if (!strcmp(name, "RESUME"))
		m->resume_ns = wall_ns;
}

static void on_closed(void *arg, const struct ferry_error *e)
{
	fprintf(stderr, "%s\n", e->message);
	CHECK(!"QEMU ended its monitor");
}

// One socketpair for each port; QEMU inherits the ends in `fds`.
static size_t open_ports(struct machine *m, const struct vm_config *c, struct process_fd *fds)
{
	size_t n = c->gpus ? VM_PORTS_PER_GPU : 0;

	for (size_t i = 0; i < n; i++) {
		int pair[2];
		CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
		m->ports[i] = pair[0];
		fds[i] = (struct process_fd){ .fd = pair[1],
			.as = VM_GPU_FD(VM_PORTS_PER_GPU, 0, (int)i) };
	}
	return n;
}

static void start_qemu(struct machine *m, const struct vm_config *c)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	struct process_fd fds[VM_PORTS_PER_GPU];
	char log[160];
	size_t n_fds = open_ports(m, c, fds);
	_cleanup_argv_ struct argv argv = { 0 };

	vm_cmdline(c, &argv, &e);
	CHECK_STR(e.message, "");
	snprintf(log, sizeof log, "%s/qemu.log", c->dir);
	_cleanup_fd_ int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	struct process_spec spec = {
		.argv = (const char *const *)argv.v, .log_fd = fd, .fds = fds, .n_fds = n_fds
	};
	CHECK_EQ(process_start(&spec, &m->pid, &e), 0);
	machines_guard_pid(m->pid);
	for (size_t i = 0; i < n_fds; i++)
		close(fds[i].fd);
}

static void connect_monitor(struct machine *m)
{
	static const struct qmp_handlers handlers = { .event = on_event, .closed = on_closed };
	char path[160];

	snprintf(path, sizeof path, "%s/qmp.sock", m->dir);
	for (int i = 0; i < 500 && !m->qmp; i++) {
		machine_turn(m->loop);
		m->qmp = qmp_connect(m->loop, path, &handlers, m, NULL);
		CHECK(waitpid(m->pid, NULL, WNOHANG) == 0); // or it has ended: see its log
	}
	CHECK(m->qmp);
	while (!qmp_ready(m->qmp))
		machine_turn(m->loop);
	CHECK(qmp_has_oob(m->qmp));
}

void machine_start(struct machine *m, struct loop *l, const struct vm_config *c)
{
	*m = (struct machine){ .loop = l, .dir = c->dir };
	start_qemu(m, c);
	connect_monitor(m);
}

void machine_reconnect(struct machine *m)
{
	m->qmp = qmp_free(m->qmp);
	connect_monitor(m);
}

static void end(struct machine *m, int signo)
{
	if (!m->pid)
		return;
	m->qmp = qmp_free(m->qmp);
	kill(m->pid, signo);
	waitpid(m->pid, NULL, 0);
	for (size_t i = 0; i < PIDS_MAX; i++)
		if (pids[i] == m->pid)
			pids[i] = 0;
	for (size_t i = 0; i < VM_PORTS_PER_GPU; i++)
		if (m->ports[i] > 0)
			close(m->ports[i]);
	m->pid = 0;
}

void machine_stop(struct machine *m)
{
	end(m, SIGTERM);
}

void machine_kill(struct machine *m)
{
	end(m, SIGKILL);
}

struct reply {
	bool done;
	json_t *ret;
	char why[400];
};

static void on_reply(void *arg, const json_t *ret, const struct ferry_error *e)
{
	struct reply *r = arg;

	r->done = true;
	r->ret = json_deep_copy(ret);
	snprintf(r->why, sizeof r->why, "%s", e ? e->message : "");
}

const json_t *machine_ask(struct machine *m, const char *command, json_t *args)
{
	static struct reply r;

	json_decref(r.ret);
	r = (struct reply){ 0 };
	CHECK_EQ(qmp_exec(m->qmp, command, args, 30000, on_reply, &r), 0);
	while (!r.done)
		machine_turn(m->loop);
	if (!r.ret)
		printf("%s: %s\n", command, r.why);
	return r.ret;
}

void machine_do_oob(struct machine *m, const char *command, json_t *args)
{
	struct reply r = { 0 };

	CHECK_EQ(qmp_exec_oob(m->qmp, command, args, 5000, on_reply, &r), 0);
	while (!r.done)
		machine_turn(m->loop);
	CHECK_STR(r.why, "");
	json_decref(r.ret);
}

const json_t *machine_do(struct machine *m, const char *command, json_t *args)
{
	const json_t *ret = machine_ask(m, command, args);

	CHECK(ret);
	return ret;
}

const char *machine_status(struct machine *m)
{
	return json_string_or(machine_do(m, "query-status", NULL), "status", "");
}

void machine_await(struct machine *m, const char *migration, int limit_ms)
{
	int64_t end = clock_now_ns() + limit_ms * NSEC_PER_MSEC;

	while (strcmp(m->migration, migration)) {
		if (!strcmp(m->migration, "failed") || clock_now_ns() > end) {
			fprintf(stderr, "%s: the migration is '%s', not '%s'\n", m->dir,
				m->migration, migration);
			exit(1);
		}
		machine_turn(m->loop);
	}
}
