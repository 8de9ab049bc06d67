// SPDX-License-Identifier: Apache-2.0
// The agent's client against an agent that the test plays: it does what it is asked, and loses
// answers, connections and itself as a guest under migration does.
#include "base/base64.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/socket.h"
#include "base/test.h"
#include "vm/agent_exec.h"

#include <errno.h>
#include <sys/socket.h>

static struct loop *loop;
static char dir[64];

// A guest with one job whose output is the text, and the sockets that lead to it.
static struct guest {
	int listener, fd;
	char line[4096];
	size_t n;
	const char *text;
	unsigned starts, reads, ends, others;
	unsigned run_reads;  // the job ends after this many reads
	unsigned drop_every; // closes instead of answering every n-th request; 0: never
	unsigned requests;
	bool mute;
	char job[17];
} guest;

static const char *socket_path(const char *name)
{
	static char text[128];

	snprintf(text, sizeof text, "%s/%s", dir, name);
	return text;
}

static void guest_listen(const char *name)
{
	guest.listener = unix_listen(socket_path(name), NULL);
	CHECK(guest.listener >= 0);
	fd_set_nonblocking(guest.listener, 1);
}

static void guest_hang_up(void)
{
	if (guest.fd >= 0)
		close(guest.fd);
	guest.fd = -1;
	guest.n = 0;
}

static void guest_start(const char *text)
{
	guest = (struct guest){ .fd = -1, .listener = -1, .text = text, .run_reads = 3 };
	guest_listen("one");
}

static void guest_stop(void)
{
	guest_hang_up();
	close(guest.listener);
}

static json_t *do_read(const json_t *q)
{
	char coded[64];
	size_t at = (size_t)json_int_or(q, "out", 0), n = strlen(guest.text);

	CHECK_STR(json_string_or(q, "job", ""), guest.job);
	CHECK(at <= n);
	guest.reads++;
	n = n - at < 5 ? n - at : 5; // five bytes a time
	base64_encode(guest.text + at, n, coded);
	bool running = guest.reads < guest.run_reads;
	return json_pack(
		"{s:s, s:s, s:b, s:i}", "out", coded, "err", "", "running", running, "exit", 3);
}

static json_t *guest_do(const json_t *q)
{
	const char *op = json_string_or(q, "op", "");

	if (!strcmp(op, "read"))
		return do_read(q);
	if (!strcmp(op, "start") && strcmp(guest.job, json_string_or(q, "job", ""))) {
		guest.starts++;
		CHECK_EQ(json_get_string(q, "job", guest.job, sizeof guest.job, NULL), 0);
	} else if (!strcmp(op, "end")) {
		guest.ends++;
	} else {
		guest.others++;
	}
	return json_object();
}

static void guest_line(char *line, size_t n)
{
	char text[1024];
	_cleanup_json_ json_t *q = json_parse(line, n, "a request", NULL);

	if (!json_is_object(q) || guest.mute)
		return;
	_cleanup_json_ json_t *a = guest_do(q);
	if (guest.drop_every && ++guest.requests % guest.drop_every == 0) {
		guest_hang_up();
		return;
	}
	json_object_set(a, "id", json_object_get(q, "id"));
	_cleanup_free_ char *json = json_dumps(a, JSON_COMPACT);
	int len = snprintf(text, sizeof text, "tail of an old line\"}\n%s\n{\"id\":-5}\n", json);
	CHECK_EQ(send(guest.fd, text, (size_t)len, MSG_NOSIGNAL), len);
}

static void guest_turn(void)
{
	char *end;

	if (guest.fd < 0)
		guest.fd = accept4(guest.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (guest.fd < 0)
		return;
	ssize_t n = recv(guest.fd, guest.line + guest.n, sizeof guest.line - guest.n, 0);
	if (n == 0)
		guest_hang_up();
	guest.n += n > 0 ? (size_t)n : 0;
	while (guest.fd >= 0 && guest.n && (end = memchr(guest.line, '\n', guest.n))) {
		size_t used = (size_t)(end - guest.line) + 1;
		char line[4096];
		memcpy(line, guest.line, used);
		memmove(guest.line, end + 1, guest.n -= used);
		guest_line(line, used);
	}
}

static char output[256];
static int done, status;
static char last_code[40];

static void on_output(void *arg, int stream, const void *bytes, size_t n)
{
	CHECK_EQ(stream, 1);
	strncat(output, bytes, n);
}

static void on_done(void *arg, int got, const struct ferry_error *e)
{
	done++;
	status = got;
	snprintf(last_code, sizeof last_code, "%s", e ? e->code : "");
}

static struct agent_exec *start(struct agent *a, bool detach)
{
	struct agent_exec_handlers handlers = { on_output, on_done };
	_cleanup_json_ json_t *argv = json_pack("[s]", "work");
	struct agent_exec_spec spec = { .argv = argv, .detach = detach };

	done = 0, status = -2, output[0] = '\0';
	struct agent_exec *x = agent_exec_start(agent_way(a), &spec, &handlers, NULL, NULL);
	CHECK(x);
	return x;
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

static void output_and_status_come_back(void)
{
	struct agent *a = agent_new(loop);

	guest_start("hello, world\n");
	CHECK_EQ(agent_set_path(a, socket_path("one")), 0);
	start(a, false);
	turn_until(&done, 20000);
	turn(20);
	CHECK_STR(output, "hello, world\n");
	CHECK_EQ(done, 1);
	CHECK_EQ(status, 3);
	CHECK_EQ(guest.starts, 1);
	CHECK_EQ(guest.ends, 1);
	agent_free(a);
	guest_stop();
}

static void lost_answers_lose_and_repeat_nothing(void)
{
	struct agent *a = agent_new(loop);

	guest_start("abcdefghijklmnopqrstuvwxyz");
	guest.drop_every = 2;
	agent_set_path(a, socket_path("one"));
	start(a, false);
	turn_until(&done, 20000);
	CHECK_STR(output, "abcdefghijklmnopqrstuvwxyz");
	CHECK_EQ(status, 3);
	CHECK_EQ(guest.starts, 1);
	agent_free(a);
	guest_stop();
}

static void a_guest_may_move_to_another_socket(void)
{
	struct agent *a = agent_new(loop);

	guest_start("0123456789");
	guest.run_reads = 1000;
	agent_set_path(a, socket_path("one"));
	start(a, false);
	turn(50);
	guest.mute = true; // stunned: it answers nothing, and what it is asked now is lost
	turn(30);
	guest_hang_up();
	close(guest.listener);
	agent_set_path(a, NULL);
	turn(150);
	agent_set_path(a, socket_path("two")); // not there yet
	turn(50);
	guest_listen("two");
	guest.mute = false;
	guest.run_reads = guest.reads + 1;
	turn_until(&done, 20000);
	CHECK_STR(output, "0123456789");
	CHECK_EQ(status, 3);
	CHECK_EQ(guest.starts, 1);
	agent_free(a);
	guest_stop();
}

static int replies;

static void on_reply(void *arg, const json_t *answer, const struct ferry_error *e)
{
	replies++;
	snprintf(last_code, sizeof last_code, "%s", e ? e->code : "");
	if (arg)
		agent_free(arg);
}

static void silence_has_a_limit(void)
{
	struct agent *a = agent_new(loop);

	guest_start("");
	guest.mute = true;
	agent_set_path(a, socket_path("one"));
	replies = 0;
	CHECK(agent_request(a, "ping", NULL, 50, on_reply, NULL) > 0);
	turn_until(&replies, 20000);
	CHECK_EQ(replies, 1);
	CHECK_STR(last_code, "agent-silent");
	agent_request(a, "ping", NULL, 20, on_reply, a); // frees the client
	agent_request(a, "ping", NULL, 20, on_reply, a);
	turn(60);
	CHECK_EQ(replies, 2);
	guest_stop();
}

// Its guest may come back while the request would still be sent again.
static void what_is_forgotten_is_never_sent(void)
{
	struct agent *a = agent_new(loop);

	guest_start("");
	int64_t id = agent_request(a, "start", json_pack("{s:s}", "job", "x"), 0, on_reply, NULL);
	replies = 0;
	CHECK(id > 0);
	agent_forget(a, id);
	agent_set_path(a, socket_path("one"));
	CHECK(agent_request(a, "ping", NULL, 0, on_reply, NULL) > 0);
	turn_until(&replies, 20000);
	CHECK_EQ(replies, 1);
	CHECK_EQ(guest.starts, 0);
	CHECK_EQ(guest.others, 1);
	agent_free(a);
	guest_stop();
}

static void a_cancelled_program_is_ended(void)
{
	struct agent *a = agent_new(loop);

	guest_start("x");
	guest.run_reads = 1000;
	agent_set_path(a, socket_path("one"));
	struct agent_exec *x = start(a, false);
	turn(50);
	agent_exec_cancel(x);
	turn(50);
	CHECK_EQ(guest.ends, 1);
	CHECK_EQ(done, 0);
	start(a, true); // detached: done when started, and not ended
	turn_until(&done, 20000);
	turn(20);
	CHECK_EQ(status, 0);
	CHECK_EQ(guest.ends, 1);
	agent_free(a);
	guest_stop();
}

static void a_paused_reader_asks_nothing(void)
{
	struct agent *a = agent_new(loop);

	guest_start("0123456789");
	guest.run_reads = 1000;
	agent_set_path(a, socket_path("one"));
	struct agent_exec *x = start(a, false);
	turn(30);
	agent_exec_pause(x, true);
	turn(20);
	unsigned reads = guest.reads;
	turn(300);
	CHECK_EQ(guest.reads, reads);
	guest.run_reads = 0;
	agent_exec_pause(x, false);
	turn_until(&done, 20000);
	CHECK_STR(output, "0123456789");
	agent_free(a);
	guest_stop();
}

int main(void)
{
	loop = loop_new();
	snprintf(dir, sizeof dir, "/tmp/ferry-agent-%d", (int)getpid());
	CHECK_EQ(dir_make(dir, NULL), 0);
	RUN(output_and_status_come_back);
	RUN(lost_answers_lose_and_repeat_nothing);
	RUN(a_guest_may_move_to_another_socket);
	RUN(silence_has_a_limit);
	RUN(what_is_forgotten_is_never_sent);
	RUN(a_cancelled_program_is_ended);
	RUN(a_paused_reader_asks_nothing);
	loop_free(loop);
	CHECK_EQ(path_remove(dir, NULL), 0);
}
