// SPDX-License-Identifier: Apache-2.0
// The agent behind a socketpair; the test plays the host.
#include "base/base64.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/socket.h"
#include "base/test.h"
#include "guest/agent/port.h"
#include "guest/agent/request.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>

#define JOB "00000000000000aa"

static struct loop *loop;
static struct jobs jobs;
static struct agent_port *port;
static int host = -1;
static json_t *answer;
static uint8_t out[1 << 20];
static size_t out_len;

static void connect_host(void)
{
	int pair[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	agent_port_free(port);
	if (host >= 0)
		close(host);
	host = pair[1];
	fd_set_nonblocking(host, 1);
	port = agent_port_new(loop, pair[0], &jobs);
	CHECK(port);
}

// Reads one answer line. NULL: none came within the limit.
static json_t *next_answer(int limit_ms)
{
	static char text[AGENT_LINE_MAX];
	size_t n = 0;
	int64_t end = clock_now_ns() + limit_ms * NSEC_PER_MSEC;

	while (clock_now_ns() < end) {
		loop_once(loop, 1);
		while (n < sizeof text && recv(host, text + n, 1, 0) == 1)
			if (text[n++] == '\n')
				return json_parse(text, n, "an answer", NULL);
	}
	return NULL;
}

static void say(const char *text)
{
	CHECK_EQ(send(host, text, strlen(text), 0), strlen(text));
}

// Sends one request and keeps its answer.
static json_t *ask(const char *request)
{
	json_decref(answer);
	say(request);
	say("\n");
	answer = next_answer(20000);
	CHECK(answer);
	return answer;
}

static const char *code(void)
{
	return json_string_or(json_object_get(answer, "error"), "code", "");
}

static json_t *read_job(uint64_t from_out, uint64_t from_err)
{
	char line[200];

	snprintf(line, sizeof line,
		"{\"id\":5,\"op\":\"read\",\"job\":\"" JOB "\",\"out\":%llu,\"err\":%llu}",
		(unsigned long long)from_out, (unsigned long long)from_err);
	return ask(line);
}

static size_t decode(const char *name, uint8_t *to, size_t cap)
{
	const char *text = json_string_or(answer, name, "");
	ssize_t n = base64_decode(text, strlen(text), to, cap);

	CHECK(n >= 0);
	return (size_t)n;
}

// Reads the job's output to its end.
static void read_to_end(void)
{
	int64_t end = clock_now_ns() + 30 * NSEC_PER_SEC;

	for (out_len = 0; clock_now_ns() < end;) {
		read_job(out_len, 0);
		size_t n = decode("out", out + out_len, sizeof out - out_len);
		out_len += n;
		if (!n && json_is_false(json_object_get(answer, "running")))
			return;
	}
	CHECK(!"the job did not end");
}

static void start(const char *argv)
{
	char line[1024];

	snprintf(line, sizeof line, "{\"id\":1,\"op\":\"start\",\"job\":\"" JOB "\",\"argv\":%s}",
		argv);
	ask(line);
}

static void end(void)
{
	ask("{\"id\":9,\"op\":\"end\",\"job\":\"" JOB "\"}");
	CHECK_STR(code(), "");
}

static void output_and_status_come_back(void)
{
	start("[\"sh\",\"-c\",\"echo out; echo err >&2; exit 7\"]");
	CHECK_STR(code(), "");
	read_to_end();
	CHECK(out_len == 4 && !memcmp(out, "out\n", 4));
	CHECK_EQ(json_int_or(answer, "exit", -1), 7);
	uint8_t err[8];
	CHECK(decode("err", err, sizeof err) == 4 && !memcmp(err, "err\n", 4));
	end();
	read_job(0, 0);
	CHECK_STR(code(), "no-job");
}

static void every_request_may_be_repeated(void)
{
	start("[\"sh\",\"-c\",\"echo $$\"]");
	start("[\"sh\",\"-c\",\"echo again\"]");
	CHECK_STR(code(), "");
	CHECK(!jobs.all[1].id[0]); // no second one was started
	read_to_end();
	size_t first = out_len;
	uint8_t kept[32];
	memcpy(kept, out, out_len);
	CHECK(memcmp(kept, "again", 5) != 0);
	read_job(0, 0); // nothing was acknowledged that a repeated read would need
	CHECK_STR(code(), "bad-offset");
	read_job(first, 0);
	read_job(first, 0);
	CHECK_EQ(json_int_or(answer, "exit", -1), 0);
	end(), end();
}

static void a_full_buffer_stops_the_job_and_loses_nothing(void)
{
	start("[\"sh\",\"-c\",\"yes 123456789012345678901234567890123456789 | head -n 30000\"]");
	for (int i = 0; i < 100; i++)
		loop_once(loop, 1);
	struct job *job = jobs_find(&jobs, JOB);
	CHECK(job && job->out.data.len <= STREAM_OUT_MAX);
	uint64_t at = 0, total = 0;
	do {
		read_job(at, 0);
		size_t n = decode("out", out, sizeof out);
		for (size_t i = 0; i < n; i++)
			CHECK_EQ(out[i],
				(at + i) % 40 == 39 ? '\n' : "1234567890"[(at + i) % 40 % 10]);
		at += n;
		total = n ? at : total;
	} while (json_is_true(json_object_get(answer, "running")) || total < 1200000);
	CHECK_EQ(at, 1200000);
	end();
}

static void input_arrives_once(void)
{
	ask("{\"id\":1,\"op\":\"start\",\"job\":\"" JOB "\",\"argv\":[\"cat\"],\"input\":true}");
	ask("{\"id\":2,\"op\":\"write\",\"job\":\"" JOB "\",\"offset\":0,\"data\":\"Zm9v\"}");
	CHECK_EQ(json_int_or(answer, "offset", -1), 3);
	ask("{\"id\":3,\"op\":\"write\",\"job\":\"" JOB
	    "\",\"offset\":0,\"data\":\"Zm9vYmFy\",\"end\":true}");
	CHECK_EQ(json_int_or(answer, "offset", -1), 6);
	ask("{\"id\":4,\"op\":\"write\",\"job\":\"" JOB "\",\"offset\":9,\"data\":\"Zm9v\"}");
	CHECK_STR(code(), "bad-offset");
	read_to_end();
	CHECK(out_len == 6 && !memcmp(out, "foobar", 6));
	end();
}

static void a_signal_reaches_the_group_once(void)
{
	start("[\"sh\",\"-c\",\"n=0; trap 'n=$((n+1)); echo $n' USR1; "
	      "echo ready; while [ $n -lt 2 ]; do sleep 0.02; done\"]");
	do
		read_job(0, 0);
	while (!decode("out", out, sizeof out));
	const char *usr1 = "{\"id\":40,\"op\":\"signal\",\"job\":\"" JOB "\",\"signo\":10}";
	ask(usr1);
	ask(usr1); // the answer was lost; it must not count twice
	for (int i = 0; i < 100; i++)
		loop_once(loop, 1);
	read_job(0, 0);
	CHECK(decode("out", out, sizeof out) == 8 && !memcmp(out, "ready\n1\n", 8));
	ask("{\"id\":41,\"op\":\"signal\",\"job\":\"" JOB "\",\"signo\":15}");
	read_to_end();
	CHECK_EQ(json_int_or(answer, "exit", -1), 128 + SIGTERM);
	ask("{\"id\":42,\"op\":\"signal\",\"job\":\"" JOB "\",\"signo\":65}");
	CHECK_STR(code(), "bad-message");
	end();
}

static void a_job_survives_the_hosts_connection(void)
{
	start("[\"sh\",\"-c\",\"sleep 0.1; echo done\"]");
	say("{\"id\":1,\"op\":\"re"); // cut in the middle of a line
	connect_host();
	say("ad\",\"job\":\"x\"}\n"); // the rest of an old line
	read_to_end();
	CHECK(out_len == 5 && !memcmp(out, "done\n", 5));
	end();
}

static void what_cannot_run_says_why(void)
{
	start("[\"/no/such/program\"]");
	CHECK_STR(code(), "exec");
	start("[\"/no/such/program\"]");
	CHECK_STR(code(), "exec");
	read_job(0, 0);
	CHECK_STR(code(), "no-job");
}

static void places_are_limited_and_ended_jobs_make_room(void)
{
	char line[200];

	for (int i = 0; i <= JOBS_MAX; i++) {
		snprintf(line, sizeof line,
			"{\"id\":1,\"op\":\"start\",\"job\":\"%016x\",\"argv\":[\"sleep\","
			"\"%d\"]}",
			i + 1, i == 0 ? 0 : 60);
		ask(line);
		CHECK_STR(code(), "");
		for (int k = 0; !i && k < 200 && !jobs.all[0].exited; k++)
			loop_once(loop, 5);
	}
	ask("{\"id\":1,\"op\":\"start\",\"job\":\"" JOB "\",\"argv\":[\"true\"]}");
	CHECK_STR(code(), "too-many");
	jobs_free(&jobs);
	jobs_init(&jobs, loop);
}

static void nonsense_has_an_error_or_no_answer(void)
{
	static const char *const refused[] = { "{\"id\":1}", "{\"id\":1,\"op\":\"x\"}",
		"{\"id\":1,\"op\":\"start\"}",
		"{\"id\":1,\"op\":\"start\",\"job\":\"" JOB "\",\"argv\":[]}",
		"{\"id\":1,\"op\":\"start\",\"job\":\"" JOB "\",\"argv\":[1]}",
		"{\"id\":1,\"op\":\"start\",\"job\":\"" JOB
		"\",\"argv\":[\"a\"],\"env\":{\"A=\":\"\"}}",
		"{\"id\":1,\"op\":\"start\",\"job\":\"../../etc/passwd\",\"argv\":[\"a\"]}",
		"{\"id\":1,\"op\":\"read\",\"job\":\"" JOB "\"}" };

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		ask(refused[i]);
		CHECK(code()[0]);
	}
	say("\n[]\n{}\nnull\n{\"id\":\"x\"}\n{\"id\":1.5}\n{{{{\n");
	CHECK(!next_answer(50));
	static char big[AGENT_LINE_MAX * 2];
	memset(big, 'x', sizeof big - 2);
	for (size_t sent = 0; sent < sizeof big - 2;) {
		ssize_t n = send(host, big + sent, sizeof big - 2 - sent, 0);
		sent += n > 0 ? (size_t)n : 0;
		loop_once(loop, 1);
	}
	say("\n");
	ask("{\"id\":77,\"op\":\"ping\"}");
	CHECK_EQ(json_int_or(answer, "id", 0), 77);
	CHECK_EQ(json_int_or(answer, "version", 0), AGENT_VERSION);
}

// Requests with three bytes changed, by a fixed sequence of chances, while a job is there. What
// starts programs is left out.
static void changed_requests_never_break_it(void)
{
	static const char *const lines[] = { "{\"id\":5,\"op\":\"read\",\"job\":\"" JOB
					     "\",\"out\":0,\"err\":0}",
		"{\"id\":6,\"op\":\"write\",\"job\":\"" JOB "\",\"offset\":0,\"data\":\"Zm9v\"}",
		"{\"id\":7,\"op\":\"end\",\"job\":\"00000000000000ab\"}",
		"{\"id\":8,\"op\":\"ping\"}" };
	uint32_t chance = 7;

	ask("{\"id\":1,\"op\":\"start\",\"job\":\"" JOB "\",\"argv\":[\"cat\"],\"input\":true}");
	for (int i = 0; i < 20000; i++) {
		struct buf reply = { 0 };
		char line[128];
		snprintf(line, sizeof line, "%s", lines[i % 4]);
		size_t n = strlen(line);
		for (int k = 0; k < 3; k++) {
			chance = chance * 1664525u + 1013904223u;
			line[(chance >> 8) % n] = (char)(chance >> 24);
		}
		agent_request(&jobs, line, n, &reply);
		CHECK(reply.len < AGENT_LINE_MAX);
		buf_free(&reply);
	}
	end();
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	loop = loop_new();
	jobs_init(&jobs, loop);
	connect_host();
	RUN(output_and_status_come_back);
	RUN(every_request_may_be_repeated);
	RUN(a_full_buffer_stops_the_job_and_loses_nothing);
	RUN(input_arrives_once);
	RUN(a_signal_reaches_the_group_once);
	RUN(a_job_survives_the_hosts_connection);
	RUN(what_cannot_run_says_why);
	RUN(places_are_limited_and_ended_jobs_make_room);
	RUN(nonsense_has_an_error_or_no_answer);
	RUN(changed_requests_never_break_it);
	json_decref(answer);
	agent_port_free(port);
	jobs_free(&jobs);
	loop_free(loop);
}
