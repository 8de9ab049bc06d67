// SPDX-License-Identifier: Apache-2.0
#include "vgpu/testing/testhost.h"

#include "base/json.h"
#include "base/process.h"
#include "base/socket.h"
#include "base/test.h"
#include "vgpu/control/options.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 120000
#define CHANNELS    2

static void connect_control(struct testhost *h, const char *path)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	for (int i = 0; i < PATIENCE_MS / 10; i++) {
		h->control = unix_connect(path, &e);
		if (h->control >= 0)
			return;
		usleep(10000);
	}
	CHECK(h->control >= 0);
}

void testhost_start(struct testhost *h, const char *program, bool incoming, const char *tracker)
{
	testhost_start_sized(h, program, incoming, tracker, 64 << 20, 1);
}

// The vGPU's ends and QEMU's of all ports, as the process gets them; QEMU's are also ours.
static void make_ports(struct testhost *h, int n, struct process_fd *fds)
{
	int pair[2];

	for (int i = 0; i < n; i++) {
		CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		fds[2 * i] = (struct process_fd){ pair[0], OPTIONS_FIRST_FD + 2 * i };
		fds[2 * i + 1] = (struct process_fd){ pair[1], OPTIONS_FIRST_FD + 2 * i + 1 };
		h->ports[i] = pair[1];
	}
}

void testhost_start_sized(struct testhost *h, const char *program, bool incoming,
	const char *tracker, uint64_t bytes, int ports)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	char path[PATH_MAX + 16], env[PATH_MAX + 32], memory[24], number[12];
	struct process_fd fds[2 * TESTHOST_PORTS_MAX];

	*h = (struct testhost){ .control = -1, .takes_binaries = true };
	CHECK_EQ(temporary_make(&h->folder, "/tmp", "ferry-testhost-", &e), 0);
	snprintf(path, sizeof path, "%s/control", h->folder.path);
	snprintf(env, sizeof env, "POCL_CACHE_DIR=%s/cl-cache", h->folder.path);
	snprintf(memory, sizeof memory, "%llu", (unsigned long long)bytes);
	snprintf(number, sizeof number, "%d", ports);
	make_ports(h, ports, fds);
	struct process_spec spec = { .argv = (const char *[]){ program, "--control", path,
					     "--memory", memory, "--ports", number, "--faults",
					     "--tracker", tracker, incoming ? "--incoming" : NULL,
					     NULL },
		.env = (const char *[]){ env, NULL },
		.fds = fds,
		.n_fds = 2 * (size_t)ports,
		.log_fd = 2,
		.detached = true,
		.tied = true };
	CHECK_EQ(process_start(&spec, &h->pid, &e), 0);
	for (int i = 0; i < ports; i++)
		close(fds[2 * i].fd);
	connect_control(h, path);
}

void testhost_stop(struct testhost *h)
{
	kill(h->pid, SIGKILL);
	waitpid(h->pid, NULL, 0);
	close(h->control);
	buf_free(&h->in);
	temporary_remove(&h->folder);
}

// ---- the control socket

static json_t *next_message(struct testhost *h)
{
	struct pollfd p = { .fd = h->control, .events = POLLIN };
	struct ferry_error e = FERRY_ERROR_INIT;

	for (;;) {
		struct rd r = rd_make(h->in.data, h->in.len);
		uint32_t n = rd_u32(&r);
		if (!r.failed && r.left >= n) {
			json_t *doc = json_parse((const char *)r.at, n, "a message", &e);
			CHECK(doc);
			buf_consume(&h->in, n + 4);
			return doc;
		}
		CHECK(poll(&p, 1, PATIENCE_MS) == 1);
		ssize_t got = recv(h->control, buf_reserve(&h->in, 65536), 65536, 0);
		CHECK(got > 0);
		h->in.len += (size_t)got;
	}
}

static json_t *ask(struct testhost *h, const char *op, json_t *args, const int *fds, size_t n)
{
	_cleanup_buf_ struct buf out = { 0 };
	json_t *doc = json_pack("{s:I, s:s, s:o, s:I}", "id", (json_int_t)++h->id, "op", op, "args",
		args ? args : json_object(), "fds", (json_int_t)n);
	char *text = json_dumps(doc, 0);

	buf_put_blob(&out, text, strlen(text));
	CHECK_EQ(socket_send_fds(h->control, out.data, out.len, fds, n), (ssize_t)out.len);
	free(text);
	json_decref(doc);
	while ((doc = next_message(h)) && json_int_or(doc, "id", -1) != h->id)
		json_decref(doc);
	return doc;
}

json_t *testhost_call(struct testhost *h, const char *op, json_t *args, const int *fds, size_t n)
{
	json_t *doc = ask(h, op, args, fds, n), *ok = json_object_get(doc, "ok");

	if (!ok)
		fprintf(stderr, "%s: %s\n", op,
			json_string_or(json_object_get(doc, "error"), "message", "?"));
	CHECK(ok);
	json_incref(ok);
	json_decref(doc);
	return ok;
}

void testhost_do(struct testhost *h, const char *op, json_t *args)
{
	json_decref(testhost_call(h, op, args, NULL, 0));
}

void testhost_refused(struct testhost *h, const char *op, json_t *args, const char *code)
{
	json_t *doc = ask(h, op, args, NULL, 0);

	CHECK_STR(json_string_or(json_object_get(doc, "error"), "code", "none"), code);
	json_decref(doc);
}

json_t *testhost_event(struct testhost *h, const char *event)
{
	for (;;) {
		json_t *doc = next_message(h);
		const char *got = json_string_or(doc, "event", "");
		if (!strcmp(got, event))
			return doc;
		if (!strcmp(got, "failed"))
			fprintf(stderr, "failed: %s\n",
				json_string_or(json_object_get(doc, "error"), "message", "?"));
		CHECK(strcmp(got, "failed") != 0);
		json_decref(doc);
	}
}

// ---- a move

static void open_channels(struct testhost *from, struct testhost *to, int rounds)
{
	int source[CHANNELS], dest[CHANNELS];

	for (int i = 0; i < CHANNELS; i++) {
		int pair[2];
		CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		source[i] = pair[0];
		dest[i] = pair[1];
	}
	json_decref(testhost_call(to, "move.receive",
		json_pack("{s:s, s:i, s:i}", "migration", "00", "channels", CHANNELS, "index", 0),
		dest, CHANNELS));
	json_decref(testhost_call(from, "move.begin",
		json_pack("{s:s, s:s, s:i, s:i, s:i, s:b}", "migration", "00", "mode",
			rounds ? "precopy" : "stop-copy", "channels", CHANNELS,
			"bandwidth_bytes_per_s", 0, "index", 0, "binaries", to->takes_binaries),
		source, CHANNELS));
	for (int i = 0; i < CHANNELS; i++) {
		close(source[i]);
		close(dest[i]);
	}
}

void testhost_precopy(struct testhost *from, struct testhost *to, int rounds,
	void (*between)(void *arg), void *arg)
{
	open_channels(from, to, rounds);
	for (int n = 1; n <= rounds; n++) {
		testhost_do(from, "move.round", json_pack("{s:i}", "n", n));
		if (between)
			between(arg);
	}
}

void testhost_switch(struct testhost *from, struct testhost *to)
{
	testhost_do(from, "gate.close", NULL);
	testhost_do(from, "ports.drain", NULL);
	testhost_do(from, "ports.take-back", NULL);
	json_t *last = testhost_call(from, "move.final", NULL, NULL, 0);
	json_t *received = testhost_event(to, "received");
	CHECK_STR(json_string_or(last, "root", "a"), json_string_or(received, "root", "b"));
	json_decref(last);
	json_decref(received);
	json_t *here = testhost_call(from, "root", NULL, NULL, 0);
	json_t *there = testhost_call(to, "root", NULL, NULL, 0);
	CHECK_STR(json_string_or(here, "root", "a"), json_string_or(there, "root", "b"));
	json_decref(here);
	json_decref(there);
	testhost_do(from, "freeze", NULL);
	testhost_do(to, "own", NULL);
}

void testhost_move(struct testhost *h, const char *program, const char *tracker, int rounds,
	void (*between)(void *arg), void *arg)
{
	struct testhost to;

	testhost_start(&to, program, true, tracker);
	testhost_precopy(h, &to, rounds, between, arg);
	testhost_switch(h, &to);
	testhost_stop(h);
	close(h->port);
	*h = to;
}
