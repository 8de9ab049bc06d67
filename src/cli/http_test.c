// SPDX-License-Identifier: Apache-2.0
// The CLI against a ferryd that only recites: which answer gives which exit status and which words.
#include "base/cleanup.h"
#include "base/file.h"
#include "base/socket.h"
#include "base/test.h"
#include "cli/cli.h"
#include "cli/http.h"

#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

static char folder[] = "/tmp/ferry-test.XXXXXX";
static char socket_path[64];
static const char *answer; // what the server says next
static char request[8192]; // what it last heard

// Reads until the client waits for an answer: the end of the head, and the body that it announces.
static void hear(int fd)
{
	size_t n = 0, want = 0;
	char *body = NULL;

	while (!body || n < want) {
		ssize_t got = recv(fd, request + n, sizeof request - 1 - n, 0);
		if (got <= 0)
			return;
		n += (size_t)got;
		request[n] = 0;
		if (!body && (body = strstr(request, "\r\n\r\n"))) {
			char *length = strstr(request, "Content-Length: ");
			want = (size_t)(body + 4 - request) +
			       (length ? strtoul(length + 16, NULL, 10) : 0);
		}
	}
}

static void *serve(void *arg)
{
	int listener = *(int *)arg;

	for (;;) {
		_cleanup_fd_ int fd = accept(listener, NULL, NULL);
		if (fd < 0)
			return NULL;
		hear(fd);
		(void)!write(fd, answer, strlen(answer));
	}
}

static char said[8192]; // to standard output, then to standard error

// Runs `ferry WORDS...` against this answer, as HTTP; its exit status.
static int ferry(const char *http, const char *words)
{
	char copy[200], out_path[64], *argv[16] = { "ferry" }, *save = NULL;
	int argc = 1, out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);

	answer = http;
	request[0] = 0;
	snprintf(copy, sizeof copy, "%s", words);
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	snprintf(out_path, sizeof out_path, "%s/out", folder);
	fflush(stdout);
	FILE *to = fopen(out_path, "w+e");
	dup2(fileno(to), STDOUT_FILENO);
	dup2(fileno(to), STDERR_FILENO);
	int exit = cli_main(argc, argv);
	fflush(stdout);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	close(out);
	close(err);
	rewind(to);
	said[fread(said, 1, sizeof said - 1, to)] = 0;
	fclose(to);
	return exit;
}

#define HTTP(status, body) "HTTP/1.1 " status "\r\nConnection: close\r\n\r\n" body
#define OK(body)           HTTP("200 OK", body)
#define ERROR(code, exit)                                                                          \
	HTTP("409 Conflict", "{\"error\":{\"code\":\"" code "\",\"message\":\"it is so\","         \
			     "\"remedies\":[\"do this\",\"or that\"]},\"exit\":" exit "}\n")

static void test_errors_give_their_status(void)
{
	CHECK_EQ(ferry(ERROR("no-vm", "2"), "vm show x"), 2);
	CHECK_STR(said, "ferry: it is so\n  -> do this\n  -> or that\n");
	CHECK_EQ(ferry(ERROR("busy", "1"), "vm rm x"), 1);
	CHECK_EQ(ferry(ERROR("needs-person", "4"), "migrate x --to b"), 4);
	CHECK_EQ(ferry(ERROR("name-taken", "3"), "vm create x --profile none --json"), 3);
	CHECK(strstr(said, "{\"error\":{\"code\":\"name-taken\","));
	CHECK(strstr(said, "\"exit\":3}\n"));
}

static void test_answers_that_are_none(void)
{
	CHECK_EQ(ferry(OK("hello"), "vm list"), 1);
	CHECK(strstr(said, "not JSON"));
	CHECK_EQ(ferry(OK(""), "vm list"), 1);
	CHECK_EQ(ferry(OK(""), "migrate x --to b"), 1);
	CHECK_EQ(ferry(OK("{\"progress\":{\"step\":\"one\"}}\n{{\n"), "migrate x --to b"), 1);
	CHECK_EQ(ferry("", "vm list"), 1);
	CHECK(strstr(said, "ferry vm list"));
	// Progress and then nothing: it is not known what became of it, so it is no success.
	CHECK_EQ(ferry(OK("{\"progress\":{\"step\":\"one\"}}\n"), "migrate x --to b"), 1);
	CHECK_EQ(ferry(OK("{\"stdout\":\"aGk=\"}\n"), "vm exec x -- ls"), 1);
	CHECK_EQ(ferry(OK("{\"progress\":{\"step\":\"one\"}}\n"), "vm start x"), 1);
}

static void test_no_daemon(void)
{
	CHECK_EQ(ferry("", "vm list --socket /nonexistent/ferryd.sock"), 1);
	CHECK(strstr(said, "no ferryd answers at /nonexistent/ferryd.sock"));
	CHECK(strstr(said, "FERRY_SOCKET"));
}

static void test_requests(void)
{
	ferry(OK("[]"), "vm list");
	CHECK_STR(said, "no VMs; `ferry vm create` makes one\n");
	CHECK(!strncmp(request, "GET /v1/vms HTTP/1.1\r\n", 22));
	ferry(ERROR("x", "1"), "vm show ../a?b");
	CHECK(!strncmp(request, "GET /v1/vms/..%2Fa%3Fb HTTP", 27));
	ferry(ERROR("x", "1"), "vm rm ..");
	CHECK(!strncmp(request, "DELETE /v1/vms/.. HTTP", 22));
	ferry(ERROR("x", "1"), "migrate v --to b --target-stun 300 --channels 2 --verify");
	CHECK(!strncmp(request, "POST /v1/vms/v/migrate HTTP", 27));
	CHECK(strstr(request, "\"to\":\"b\"") && strstr(request, "\"target_stun_ms\":300"));
	CHECK(strstr(request, "\"channels\":2") && strstr(request, "\"verify\":true"));
	ferry(ERROR("x", "1"), "vm set v migration.tracker=");
	CHECK(strstr(request, "{\"migration.tracker\":null}"));
}

static void test_wrong_arguments_ask_nobody(void)
{
	static const char *const lines[] = { "migrate v", "migrate v --to b --channels many",
		"migrate v --to b --target-stun -1", "check v", "vm create v", "vm exec v",
		"vm exec v ls", "vm set v", "vm set v =x", "vm set v novalue",
		"vm create v --profile p --vcpus 1x",
		"vm create v --profile p --disk /nonexistent.img", "vm stop v --timeout x",
		"events --limit x", "recover v", "run --profile none -- ls", "run -- ls",
		"run --profile ferry_cpu-05q", NULL };

	for (const char *const *l = lines; *l; l++) {
		CHECK_EQ(ferry("", *l), 2);
		CHECK(said[0]);
		CHECK_STR(request, "");
	}
}

static void test_a_migration(void)
{
	CHECK_EQ(ferry(OK("{\"progress\":{\"phase\":\"preparing\"}}\n{\"outcome\":\"completed\","
			  "\"vm\":\"v\",\"to\":\"b\",\"stun_ms\":12.345,\"exit\":0}\n"),
			 "migrate v --to b --json"),
		0);
	CHECK_STR(said,
		"{\"progress\":{\"phase\":\"preparing\"}}\n"
		"{\"outcome\":\"completed\",\"vm\":\"v\",\"to\":\"b\",\"stun_ms\":12.345}\n");
	CHECK_EQ(ferry(OK("{\"outcome\":\"aborted\",\"vm\":\"v\",\"exit\":1}\n"),
			 "migrate v --to b"),
		1);
	CHECK(strstr(said, "VM 'v' was not moved"));
	CHECK_EQ(
		ferry(OK("{\"outcome\":\"failed\",\"vm\":\"v\",\"exit\":4}\n"), "migrate v --to b"),
		4);
	CHECK(!strstr(said, "was not moved"));
}

static void test_a_refusal_lists_all_findings(void)
{
	static const char http[] = HTTP("409 Conflict",
		"{\"error\":{\"code\":\"one\",\"message\":\"m\"},\"exit\":3,\"findings\":["
		"{\"code\":\"one\",\"cause\":\"first\",\"remedy\":\"r1\",\"severity\":\"refuse\"},"
		"{\"code\":\"two\",\"cause\":\"second\",\"remedy\":\"r2\",\"severity\":\"refuse\"}]"
		"}\n");

	CHECK_EQ(ferry(http, "migrate v --to b"), 3);
	CHECK_STR(said, "REFUSED one: first\n  -> r1\nREFUSED two: second\n  -> r2\n"
			"ferry: refused by the checks above; nothing was changed\n");
	CHECK_EQ(ferry(OK("{\"findings\":[],\"facts\":{},\"ok\":true,\"exit\":0}"),
			 "check v --to b"),
		0);
	CHECK(strstr(said, "VM 'v' can move to host b"));
	CHECK_EQ(ferry(OK("{\"findings\":[],\"ok\":false,\"exit\":3}"), "check v --to b"), 3);
}

static void test_exec_gives_the_programs_status(void)
{
	CHECK_EQ(ferry(OK("{\"stdout\":\"aGk=\"}\n{\"stderr\":\"bm8=\"}\n{\"exit\":42}\n"),
			 "vm exec v -- sh -c x"),
		42);
	CHECK(strstr(said, "hi") && strstr(said, "no"));
	CHECK(strstr(request, "\"argv\":[\"sh\",\"-c\",\"x\"]"));
	CHECK_EQ(ferry(OK("{\"stdout\":\"!!\"}\n{\"exit\":0}\n"), "vm exec v -- ls"), 0);
	CHECK_EQ(ferry(OK("{\"stdout\":\"aGk=\"}\n{\"error\":{\"code\":\"moved\",\"message\":"
			  "\"gone\"},"
			  "\"exit\":1}\n"),
			 "vm exec v -- ls"),
		1);
	CHECK(strstr(said, "ferry: gone"));
}

static void remove_folder(void)
{
	path_remove(folder, NULL);
}

int main(void)
{
	pthread_t thread;

	CHECK(mkdtemp(folder));
	atexit(remove_folder); // also after a failed CHECK
	snprintf(socket_path, sizeof socket_path, "%s/s", folder);
	int listener = unix_listen(socket_path, NULL);
	CHECK(listener >= 0);
	setenv("FERRY_SOCKET", socket_path, 1);
	pthread_create(&thread, NULL, serve, &listener);
	RUN(test_errors_give_their_status);
	RUN(test_answers_that_are_none);
	RUN(test_no_daemon);
	RUN(test_requests);
	RUN(test_wrong_arguments_ask_nobody);
	RUN(test_a_migration);
	RUN(test_a_refusal_lists_all_findings);
	RUN(test_exec_gives_the_programs_status);
	shutdown(listener, SHUT_RDWR);
	pthread_join(thread, NULL);
	close(listener);
	return 0;
}
