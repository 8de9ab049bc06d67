// SPDX-License-Identifier: Apache-2.0
#include "wire/link.h"
#include "base/test.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static struct loop *loop;
static int requests, events, closes, answers;
static int64_t kept_id;
static char last_code[40], last_op[40];
static int last_fd = -1;

static void on_request(
	void *arg, struct link *k, int64_t id, const char *op, json_t *args, int *fds, size_t n_fds)
{
	requests++;
	kept_id = id;
	snprintf(last_op, sizeof last_op, "%s", op);
	if (n_fds)
		last_fd = fds[0];
	if (!strcmp(op, "echo"))
		link_answer(k, id, json_incref(args));
	if (!strcmp(op, "hang-up"))
		link_free(k);
}

static void on_event(void *arg, struct link *k, const char *event, json_t *message)
{
	events++;
}

static void on_closed(void *arg, struct link *k, const struct ferry_error *why)
{
	closes++;
	CHECK(why->err < 0);
	link_free(k);
}

static const struct link_ops ops = { on_request, on_event, on_closed };

static void on_answer(void *arg, json_t *ok, const struct ferry_error *e, int *fds, size_t n_fds)
{
	answers++;
	snprintf(last_code, sizeof last_code, "%s", ok ? "ok" : e->code);
}

static void spin(void)
{
	for (int i = 0; i < 50; i++)
		loop_once(loop, 1);
}

static void make_pair(struct link **a, int *raw)
{
	int fds[2];

	requests = events = closes = answers = 0;
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	*a = link_new(loop, fds[0], &ops, NULL);
	*raw = fds[1];
}

static void requests_events_and_descriptors_arrive(void)
{
	struct link *a;
	int raw, pipefd[2];
	char byte;

	make_pair(&a, &raw);
	struct link *b = link_new(loop, raw, &ops, NULL);
	CHECK(pipe(pipefd) == 0);
	link_event(b, "before", NULL);
	link_request(b, "echo", json_pack("{s:i}", "x", 1), &pipefd[1], 1, on_answer, NULL);
	link_event(b, "after", NULL);
	spin();
	CHECK_EQ(requests, 1);
	CHECK_EQ(events, 2);
	CHECK_EQ(answers, 1);
	CHECK_STR(last_code, "ok");
	CHECK(write(last_fd, "z", 1) == 1 && read(pipefd[0], &byte, 1) == 1);
	close(last_fd), close(pipefd[0]), close(pipefd[1]);
	last_fd = -1;
	link_free(a);
	link_free(b);
}

static void an_open_request_is_answered_when_the_link_breaks(void)
{
	struct link *a;
	int raw;

	make_pair(&a, &raw);
	link_request(a, "never-answered", NULL, NULL, 0, on_answer, NULL);
	spin();
	close(raw);
	spin();
	CHECK_EQ(answers, 1);
	CHECK_STR(last_code, "link-lost");
	CHECK_EQ(closes, 1);
}

static void a_link_may_be_freed_inside_its_callback(void)
{
	struct link *a;
	int raw;

	make_pair(&a, &raw);
	struct link *b = link_new(loop, raw, &ops, NULL);
	link_request(b, "hang-up", NULL, NULL, 0, on_answer, NULL);
	spin();
	CHECK_EQ(answers, 1);
	CHECK_EQ(closes, 1); // b's
}

static void refuse_bytes(const void *bytes, size_t n)
{
	struct link *a;
	int raw;

	make_pair(&a, &raw);
	CHECK(write(raw, bytes, n) == (ssize_t)n);
	spin();
	CHECK_EQ(closes, 1);
	CHECK_EQ(requests + events, 0);
	close(raw);
}

static void malformed_bytes_close_the_link(void)
{
	refuse_bytes("\0\0\0\0", 4);
	refuse_bytes("\1\0\x10\0{", 5); // one byte over the cap
	refuse_bytes("\2\0\0\0[]", 6);
	refuse_bytes("\2\0\0\0{\"", 6);
	refuse_bytes("\2\0\0\0{}", 6);                                // neither event nor id
	refuse_bytes("\x18\0\0\0{\"event\":\"x\",\"fds\":1   }", 28); // descriptors that never came
}

static void a_large_message_passes(void)
{
	struct link *a;
	int raw;
	char *text = malloc(900000);

	memset(text, 'x', 900000);
	make_pair(&a, &raw);
	struct link *b = link_new(loop, raw, &ops, NULL);
	link_request(b, "echo", json_pack("{s:s%}", "text", text, (size_t)900000), NULL, 0,
		on_answer, NULL);
	spin();
	CHECK_EQ(answers, 1);
	CHECK_STR(last_code, "ok");
	free(text);
	link_free(a);
	link_free(b);
}

int main(void)
{
	loop = loop_new();
	RUN(requests_events_and_descriptors_arrive);
	RUN(an_open_request_is_answered_when_the_link_breaks);
	RUN(a_link_may_be_freed_inside_its_callback);
	RUN(malformed_bytes_close_the_link);
	RUN(a_large_message_passes);
	loop_free(loop);
}
