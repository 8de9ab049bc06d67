// SPDX-License-Identifier: Apache-2.0
// What an operator reads while a VM moves, from the API's documents.
#include "cli/display.h"
#include "base/json.h"
#include "base/test.h"
#include "cli/cli.h"

static char *text;
static size_t length;
static struct display d;

static void begin(bool terminal)
{
	free(text);
	text = NULL;
	display_init(&d, open_memstream(&text, &length), terminal);
}

static void progress(const char *json)
{
	_cleanup_json_ json_t *doc = json_loads(json, 0, NULL);

	CHECK(doc);
	display_progress(&d, doc);
}

static void result(const char *json, int status)
{
	_cleanup_json_ json_t *doc = json_loads(json, 0, NULL);

	CHECK(doc);
	display_result(&d, doc, status);
}

static const char *end(void)
{
	fclose(d.out);
	return text;
}

static void test_programs(void)
{
	begin(false);
	progress("{\"phase\":\"arming\",\"source_programs\":{\"done\":0,\"total\":2}}");
	progress("{\"phase\":\"arming\",\"source_programs\":{\"done\":1,\"total\":2}}");
	progress("{\"phase\":\"copying\",\"destination_programs\":{\"done\":3,\"total\":7}}");
	progress("{\"phase\":\"copying\",\"destination_programs\":{\"done\":3,\"total\":7}}");
	progress("{\"phase\":\"copying\",\"destination_programs\":{\"done\":0,\"total\":0}}");
	CHECK_STR(end(), "opening the data connections\n"
			 "[........................] here: compiled for the way 0 of 2 programs\n"
			 "[############............] here: compiled for the way 1 of 2 programs\n"
			 "copying GPU memory while the VM runs\n"
			 "[##########..............] the destination has built 3 of 7 programs\n");
}

static void test_plain_lines(void)
{
	begin(false);
	progress("{\"step\":\"checked\",\"findings\":[{\"code\":\"memory-tight\",\"severity\":"
		 "\"warn\","
		 "\"cause\":\"little memory\",\"remedy\":\"free some\"}]}");
	progress("{\"phase\":\"recording\"}");
	progress("{\"phase\":\"preparing\"}");
	progress("{\"phase\":\"copying\",\"round\":1,\"bytes\":0,\"total_bytes\":1073741824,"
		 "\"rate_bytes_per_s\":0}");
	progress("{\"phase\":\"copying\",\"round\":1,\"bytes\":1000,\"total_bytes\":1073741824,"
		 "\"rate_bytes_per_s\":1e9}");
	progress(
		"{\"phase\":\"copying\",\"round\":1,\"bytes\":536870912,\"total_bytes\":1073741824,"
		"\"rate_bytes_per_s\":1e9}");
	progress("{\"phase\":\"copying\",\"round\":1,\"round_done\":true,\"bytes\":1073741824,"
		 "\"ms\":2000,\"dirty_bytes\":4096}");
	progress("{\"phase\":\"flowing\"}");
	CHECK_STR(end(),
		"warning memory-tight: little memory\n"
		"  -> free some\n"
		"checked\n"
		"preparing the destination\n"
		"copying GPU memory while the VM runs\n"
		"round 1  vGPU [........................] 0 B of 1 GiB, 0 B/s\n"
		"round 1  vGPU [############............] 512 MiB of 1 GiB, 1 GB/s\n"
		"round 1  vGPU [########################] 1 GiB in 2.0 s, 537 MB/s; written "
		"meanwhile 4 KiB\n"
		"copying RAM while the VM runs\n");
}

static void test_a_terminal_draws_over_its_line(void)
{
	begin(true);
	progress("{\"phase\":\"copying\",\"round\":2,\"bytes\":1,\"total_bytes\":2,"
		 "\"rate_bytes_per_s\":1,\"ram_total_bytes\":1024,\"ram_remaining_bytes\":512}");
	progress("{\"phase\":\"copying\",\"round\":2,\"bytes\":2,\"total_bytes\":2,"
		 "\"rate_bytes_per_s\":1}");
	progress("{\"phase\":\"stopping\"}");
	end();
	CHECK(strstr(text,
		"\r\033[Kround 2  vGPU [############............] 1 B of 2 B, 1 B/s  RAM "
		"[############............] 512 B left\r\033[K"));
	CHECK(!strcmp(text + strlen(text) - strlen("\npausing the VM\n"), "\npausing the VM\n"));
}

static void test_what_holds_nothing_is_not_listed(void)
{
	begin(false);
	progress("{\"phase\":\"copying\",\"round\":1,\"bytes\":0,\"total_bytes\":0}");
	progress("{\"phase\":\"copying\",\"round\":1,\"round_done\":true,\"bytes\":0,\"ms\":1,"
		 "\"dirty_bytes\":0}");
	progress("{\"phase\":\"flowing\",\"ram_bytes\":0,\"ram_remaining_bytes\":1024,"
		 "\"ram_total_bytes\":1024}");
	progress("{\"phase\":\"flowing\",\"ram_remaining_bytes\":4096,\"ram_total_bytes\":1024}");
	progress("{\"phase\":\"flowing\",\"ram_remaining_bytes\":0,\"ram_total_bytes\":1024}");
	CHECK_STR(end(), "copying GPU memory while the VM runs\n"
			 "copying RAM while the VM runs\n"
			 "RAM [........................] 1 KiB left\n"
			 "RAM [########################] 0 B left\n");
}

static void test_a_result(void)
{
	begin(false);
	result("{\"outcome\":\"completed\",\"vm\":\"v\",\"to\":\"b\",\"total_ms\":12345.6,"
	       "\"stun_ms\":84.4,\"forecast_at_switchover_ms\":90,\"verified\":true,\"verify_ms\":"
	       "7,"
	       "\"stun\":{\"drain_ms\":1,\"vgpu_ms\":2,\"ram_ms\":3,\"device_ms\":4,\"seal_ms\":5,"
	       "\"commit_ms\":6,\"resume_ms\":null}}",
		0);
	CHECK_STR(end(), "VM 'v' runs on host b after 12.3 s\n"
			 "paused 84 ms, forecast 90\n"
			 "  of it drain 1, vgpu 2, ram 3, device 4, seal 5, commit 6, resume 0 ms\n"
			 "framebuffers compared: equal, 7 ms\n");
	begin(false);
	result("{\"outcome\":\"completed\",\"stun_ms\":84,\"forecast_at_switchover_ms\":null,"
	       "\"verified\":null}",
		0);
	CHECK(strstr(end(), "\npaused 84 ms\n"));
}

static void test_failures(void)
{
	begin(false);
	result("{\"outcome\":\"aborted\",\"vm\":\"v\",\"phase\":\"copying\",\"reason\":{"
	       "\"message\":\"cancelled by an operator\",\"remedies\":[\"start it again\",7]}}",
		EXIT_FAILED);
	CHECK_STR(end(),
		"VM 'v' was not moved, aborted in phase copying: cancelled by an operator\n"
		"  -> start it again\n"
		"  -> \n");
	begin(false);
	result("{\"outcome\":\"failed\",\"vm\":\"v\",\"phase\":\"committed\",\"reason\":{"
	       "\"message\":\"no answer\"}}",
		EXIT_PERSON);
	CHECK_STR(end(), "VM 'v' needs a person's decision (`ferry recover`): no answer\n");
}

// Types that nobody promised: whatever comes is shown or left out.
static void test_nonsense(void)
{
	begin(false);
	progress("{}");
	progress("{\"phase\":7,\"round\":\"x\",\"findings\":7,\"step\":[]}");
	progress("{\"round\":1,\"bytes\":99,\"total_bytes\":3,\"rate_bytes_per_s\":\"x\"}");
	progress("{\"phase\":\"a phase of a later version, longer than any that is known\"}");
	result("{}", 1);
	result("{\"outcome\":\"completed\"}", 0);
	CHECK(strstr(end(), "[########################] 99 B of 3 B"));
}

int main(void)
{
	RUN(test_plain_lines);
	RUN(test_programs);
	RUN(test_a_terminal_draws_over_its_line);
	RUN(test_what_holds_nothing_is_not_listed);
	RUN(test_a_result);
	RUN(test_failures);
	RUN(test_nonsense);
	free(text);
	return 0;
}
