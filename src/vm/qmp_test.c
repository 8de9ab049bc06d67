// SPDX-License-Identifier: Apache-2.0
// The monitor's client against a scripted monitor: the test holds the other end of a socketpair.
#include "vm/qmp.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/test.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static struct loop *loop;
static struct qmp *qmp;
static int server;
static int readies, closes, replies;
static char last_event[64], last_error[400], last_code[40];
static int64_t last_event_ns;
static json_t *last_ret;

static void on_ready(void *arg)
{
	readies++;
}

static void on_event(void *arg, const char *name, const json_t *data, int64_t wall_ns)
{
	snprintf(last_event, sizeof last_event, "%s %s", name, json_string_or(data, "status", "-"));
	last_event_ns = wall_ns;
}

static void on_closed(void *arg, const struct ferry_error *e)
{
	closes++;
	snprintf(last_error, sizeof last_error, "%s", e->message);
}

static void on_reply(void *arg, const json_t *ret, const struct ferry_error *e)
{
	replies++;
	json_decref(last_ret);
	last_ret = json_deep_copy(ret);
	snprintf(last_error, sizeof last_error, "%s", e ? e->message : "");
	snprintf(last_code, sizeof last_code, "%s", e ? e->code : "");
}

static void turn(void)
{
	for (int i = 0; i < 5; i++)
		loop_once(loop, 2);
}

static void say(const char *line)
{
	CHECK_EQ(write(server, line, strlen(line)), strlen(line));
	turn();
}

// What the client has sent since the last call.
static const char *heard(void)
{
	static char text[65536];

	turn();
	ssize_t n = recv(server, text, sizeof text - 1, MSG_DONTWAIT);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

#define GREETING(caps)                                                                             \
	"{\"QMP\":{\"version\":{\"qemu\":{\"major\":7,\"minor\":2,\"micro\":9}},"                  \
	"\"capabilities\":[" caps "]}}\r\n"

static void start(void)
{
	int pair[2];
	struct qmp_handlers handlers = { on_ready, on_event, on_closed };

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	server = pair[1];
	readies = closes = replies = 0;
	last_event[0] = last_error[0] = last_code[0] = '\0';
	qmp = qmp_new(loop, pair[0], &handlers, NULL, NULL);
	CHECK(qmp);
}

static void start_ready(void)
{
	start();
	say(GREETING("\"oob\""));
	CHECK(strstr(heard(), "\"enable\":[\"oob\"]"));
	say("{\"return\":{},\"id\":0}\r\n");
	CHECK(qmp_ready(qmp));
}

static void stop(void)
{
	qmp = qmp_free(qmp);
	close(server);
}

static void commands_wait_for_the_greeting(void)
{
	start();
	CHECK_EQ(qmp_exec(qmp, "query-status", NULL, 0, on_reply, NULL), 0);
	CHECK_STR(heard(), "");
	say(GREETING("\"oob\""));
	CHECK(!strstr(heard(), "query-status"));
	say("{\"return\":{},\"id\":0}\r\n");
	CHECK_EQ(readies, 1);
	CHECK(qmp_has_oob(qmp));
	CHECK_STR(qmp_version(qmp), "7.2.9");
	CHECK_STR(heard(), "{\"execute\":\"query-status\",\"arguments\":{},\"id\":1}\n");
	say("{\"return\":{\"status\":\"paused\"},\"id\":1}\r\n");
	CHECK_EQ(replies, 1);
	CHECK_STR(json_string_or(last_ret, "status", ""), "paused");
	stop();
}

static void a_refusal_says_class_and_reason(void)
{
	start_ready();
	qmp_exec(qmp, "cont", NULL, 0, on_reply, NULL);
	heard();
	say("{\"id\":1,\"error\":{\"class\":\"GenericError\",\"desc\":\"no lock\"}}\n");
	CHECK_EQ(replies, 1);
	CHECK(!last_ret);
	CHECK_STR(last_error, "qemu: GenericError: no lock");
	CHECK_STR(last_code, "qemu");
	stop();
}

static void answers_out_of_order_and_in_pieces_find_their_command(void)
{
	start_ready();
	qmp_exec(qmp, "migrate", json_pack("{s:s}", "uri", "unix:x"), 0, NULL, NULL);
	CHECK_EQ(qmp_exec_oob(qmp, "yank", NULL, 0, on_reply, NULL), 0);
	const char *sent = heard();
	CHECK(strstr(
		sent, "{\"execute\":\"migrate\",\"arguments\":{\"uri\":\"unix:x\"},\"id\":1}\n"));
	CHECK(strstr(sent, "{\"exec-oob\":\"yank\",\"arguments\":{},\"id\":2}\n"));
	say("{\"return\":{\"n\":2},");
	CHECK_EQ(replies, 0);
	say("\"id\":2}\r\n{\"return\":");
	CHECK_EQ(replies, 1);
	CHECK_EQ(json_int_or(last_ret, "n", 0), 2);
	say("{},\"id\":1}\r\n");
	CHECK_EQ(closes, 0);
	stop();
}

static void events_carry_name_data_and_time(void)
{
	start_ready();
	say("{\"timestamp\":{\"seconds\":12,\"microseconds\":34},\"event\":\"MIGRATION\","
	    "\"data\":{\"status\":\"pre-switchover\"}}\r\n");
	CHECK_STR(last_event, "MIGRATION pre-switchover");
	CHECK_EQ(last_event_ns, 12000034000LL);
	say("{\"timestamp\":{\"seconds\":9223372036854775807,\"microseconds\":1},\"event\":"
	    "\"STOP\"}\n");
	CHECK_STR(last_event, "STOP -");
	CHECK(last_event_ns > 12000034000LL);
	stop();
}

static void a_silent_qemu_times_out_and_its_late_answer_is_ignored(void)
{
	start_ready();
	int64_t began = clock_now_ns();
	qmp_exec(qmp, "query-migrate", NULL, 30, on_reply, NULL);
	while (!replies && clock_now_ns() - began < 20 * NSEC_PER_SEC)
		loop_once(loop, 50);
	CHECK_EQ(replies, 1);
	CHECK_STR(last_code, "qemu-timeout");
	say("{\"return\":{},\"id\":1}\r\n");
	CHECK_EQ(replies, 1);
	CHECK_EQ(closes, 0);
	stop();
}

static unsigned lines_in(const char *text)
{
	unsigned n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static void qemus_queue_is_never_filled_so_out_of_band_gets_through(void)
{
	start_ready();
	for (int i = 0; i < 20; i++)
		qmp_exec(qmp, "query-migrate", NULL, 0, on_reply, NULL);
	CHECK_EQ(lines_in(heard()), 6);
	qmp_exec_oob(qmp, "migrate-pause", NULL, 0, on_reply, NULL);
	CHECK(strstr(heard(), "exec-oob"));
	say("{\"return\":{},\"id\":1}\r\n{\"return\":{},\"id\":2}\r\n");
	CHECK_EQ(lines_in(heard()), 2);
	stop();
}

static void a_lost_connection_fails_every_command_first(void)
{
	start_ready();
	qmp_exec(qmp, "migrate", NULL, 0, on_reply, NULL);
	qmp_exec(qmp, "cont", NULL, 0, on_reply, NULL);
	turn();
	CHECK_EQ(closes, 0);
	close(server);
	turn();
	CHECK_EQ(replies, 2);
	CHECK_EQ(closes, 1);
	CHECK_STR(last_code, "qemu-gone");
	CHECK_EQ(qmp_exec(qmp, "cont", NULL, 0, on_reply, NULL), -ENOTCONN);
	qmp = qmp_free(qmp);
}

static void on_reply_free(void *arg, const json_t *ret, const struct ferry_error *e)
{
	replies++;
	qmp = qmp_free(qmp);
}

static void a_callback_may_free_the_client(void)
{
	start_ready();
	qmp_exec(qmp, "a", NULL, 0, on_reply_free, NULL);
	qmp_exec(qmp, "b", NULL, 0, on_reply_free, NULL);
	heard();
	say("{\"return\":{},\"id\":1}\r\n{\"return\":{},\"id\":2}\r\n");
	CHECK_EQ(replies, 1);
	CHECK(!qmp);
	stop();
	start_ready();
	qmp_exec(qmp, "a", NULL, 0, on_reply_free, NULL);
	turn();
	close(server);
	turn();
	CHECK_EQ(replies, 1);
	CHECK_EQ(closes, 0);
}

static void nonsense_ends_the_connection_not_the_program(void)
{
	const char *const bad[] = { "{\"QMP\":", "[]\n", "{}\n", "\n", "{\"QMP\":[]}\n",
		"hello\r\n" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		start();
		say(bad[i]);
		if (i)
			CHECK_EQ(closes, 1);
		stop();
	}
	start_ready();
	say("{\"return\":{},\"id\":\"x\"}\n{\"return\":{},\"id\":99}\n{\"event\":[]}\n{}\n");
	CHECK_EQ(closes, 0);
	stop();
}

// Lines that QEMU could say, with three bytes changed; a fixed sequence of chances.
static void changed_lines_never_break_it(void)
{
	static const char *const lines[] = { "{\"return\":{\"n\":1},\"id\":1}\r\n",
		"{\"id\":1,\"error\":{\"class\":\"GenericError\",\"desc\":\"no\"}}\n",
		"{\"timestamp\":{\"seconds\":1,\"microseconds\":2},\"event\":\"STOP\"}\n",
		GREETING("\"oob\"") };
	uint32_t chance = 1;

	for (int i = 0; i < 1500; i++) {
		char line[256];
		start();
		const char *hello = GREETING("\"oob\"") "{\"return\":{},\"id\":0}\n";
		CHECK_EQ(write(server, hello, strlen(hello)), strlen(hello));
		loop_once(loop, 0);
		CHECK(qmp_ready(qmp));
		qmp_exec(qmp, "query-status", NULL, 0, on_reply, NULL);
		loop_once(loop, 0);
		snprintf(line, sizeof line, "%s", lines[i % 4]);
		for (int k = 0; k < 3; k++) {
			chance = chance * 1664525u + 1013904223u;
			line[(chance >> 8) % strlen(line)] =
				(char)(chance >> 24 ? chance >> 24 : 1);
		}
		if (write(server, line, strlen(line)) > 0)
			loop_once(loop, 0);
		stop();
	}
}

// What the client has sent since the last call with its descriptor, -1: none.
static int heard_fd(char *text, size_t size)
{
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
	struct iovec to = { text, size - 1 };
	struct msghdr m = { .msg_iov = &to,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof control };
	int fd = -1;

	turn();
	ssize_t n = recvmsg(server, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	text[n > 0 ? n : 0] = '\0';
	if (n > 0 && CMSG_FIRSTHDR(&m))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
	return fd;
}

static void a_descriptor_goes_with_its_command(void)
{
	char text[4096], byte = 0;
	int pair[2];

	start_ready();
	CHECK_EQ(pipe(pair), 0);
	for (int i = 0; i < 5; i++)
		qmp_exec(qmp, "query-status", NULL, 0, NULL, NULL);
	CHECK_EQ(qmp_exec_fd(
			 qmp, "getfd", json_pack("{s:s}", "fdname", "x"), pair[1], on_reply, NULL),
		0);
	close(pair[1]); // it has its own
	int fd = heard_fd(text, sizeof text);
	CHECK(fd >= 0);
	CHECK_EQ(lines_in(text), 6);
	const char *last = strstr(text, "{\"execute\":\"getfd\"");
	CHECK(last);
	CHECK_STR(last, "{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"x\"},\"id\":6}\n");
	CHECK_EQ(write(fd, "!", 1), 1);
	CHECK_EQ(read(pair[0], &byte, 1), 1);
	close(fd);
	CHECK_EQ(read(pair[0], &byte, 1), 0); // nobody else has kept it
	say("{\"return\":{},\"id\":6}\r\n");
	CHECK_EQ(replies, 1);
	close(pair[0]);
	stop();
}

static void no_oob_without_the_capability(void)
{
	start();
	say(GREETING(""));
	CHECK(!strstr(heard(), "enable"));
	say("{\"return\":{},\"id\":0}\n");
	CHECK(!qmp_has_oob(qmp));
	CHECK_EQ(qmp_exec_oob(qmp, "yank", NULL, 0, NULL, NULL), -EOPNOTSUPP);
	stop();
}

int main(void)
{
	loop = loop_new();
	RUN(commands_wait_for_the_greeting);
	RUN(a_refusal_says_class_and_reason);
	RUN(answers_out_of_order_and_in_pieces_find_their_command);
	RUN(events_carry_name_data_and_time);
	RUN(a_silent_qemu_times_out_and_its_late_answer_is_ignored);
	RUN(qemus_queue_is_never_filled_so_out_of_band_gets_through);
	RUN(a_lost_connection_fails_every_command_first);
	RUN(a_callback_may_free_the_client);
	RUN(nonsense_ends_the_connection_not_the_program);
	RUN(changed_lines_never_break_it);
	RUN(a_descriptor_goes_with_its_command);
	RUN(no_oob_without_the_capability);
	loop_free(loop);
}
