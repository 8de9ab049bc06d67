// SPDX-License-Identifier: Apache-2.0
#include "base/test.h"
#include "cli/cli.h"

static struct {
	struct cli cli;
	struct cli_args args;
	const char *to;
	bool verify;
	struct cli_words devices;
} got;

// Parses a line of words parted by blanks, as `ferry check` would with these options.
static int parse(const char *line)
{
	static char copy[400];
	static char *argv[64];
	const struct cli_option options[] = { { "to", &got.to, NULL },
		{ "verify", NULL, &got.verify }, { "device", .many = &got.devices }, { 0 } };
	char *save = NULL;
	int argc = 0;

	memset(&got, 0, sizeof got);
	snprintf(copy, sizeof copy, "%s", line);
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	argv[argc] = NULL;
	return cli_parse(&got.cli, "check", argc, argv, options, 1, 2, &got.args);
}

static void test_options_stand_anywhere(void)
{
	CHECK_EQ(parse("vm1 --to b --verify --json --socket /s"), 1);
	CHECK_STR(got.args.operands[0], "vm1");
	CHECK_STR(got.to, "b");
	CHECK_STR(got.cli.socket, "/s");
	CHECK(got.verify && got.cli.json && !got.args.rest);
	CHECK_EQ(parse("--to=b vm1 two"), 2);
	CHECK_STR(got.to, "b");
	CHECK_EQ(parse("vm1 --to=a=b"), 1);
	CHECK_STR(got.to, "a=b");
	CHECK_EQ(parse("-"), 1); // one dash is a word
	CHECK_EQ(parse("vm1 --device a --device=b"), 1);
	CHECK_EQ(got.devices.n, 2);
	CHECK_STR(got.devices.words[1], "b");
}

static void test_the_rest_is_not_looked_at(void)
{
	CHECK_EQ(parse("vm1 -- ls --to -x"), 1);
	CHECK_STR(got.args.rest[0], "ls");
	CHECK_STR(got.args.rest[2], "-x");
	CHECK(!got.args.rest[3] && !got.to);
	CHECK_EQ(parse("vm1 --"), 1);
	CHECK(got.args.rest && !got.args.rest[0]);
}

static void test_what_is_wrong_is_usage(void)
{
	static const char *const lines[] = { "", "a b c", "vm1 --to", "vm1 --nope", "vm1 -v",
		"vm1 --verify=yes", "vm1 --t b", "vm1 --tooo b", "vm1 --=x", "-- ls",
		"v --device 1 --device 2 --device 3 --device 4 --device 5 --device 6 --device 7 "
		"--device 8"
		" --device 9 --device 10 --device 11 --device 12 --device 13 --device 14 --device "
		"15"
		" --device 16 --device 17",
		NULL };
	char *empty[] = { "", NULL };
	struct cli_args a;

	for (const char *const *l = lines; *l; l++)
		CHECK_EQ(parse(*l), -EXIT_USAGE);
	CHECK_EQ(cli_parse(&got.cli, "check", 1, empty, NULL, 1, 1, &a), -EXIT_USAGE);
}

static void test_commands_are_found_by_their_words(void)
{
	char *show[] = { "vm", "show", "x" }, *half[] = { "vm" }, *no[] = { "vm", "shw", "x" };
	int words = 0;

	CHECK_STR(cli_find(3, show, &words)->words, "vm show");
	CHECK_EQ(words, 2);
	CHECK(!cli_find(1, half, &words));
	CHECK(!cli_find(3, no, &words));
	for (size_t i = 0; i < cli_command_count; i++) {
		const struct cli_command *c = &cli_commands[i];
		CHECK(c->usage && (!c->run || c->brief[0]));
		CHECK(!c->help || c->help[strlen(c->help) - 1] == '\n');
	}
}

static void test_typing_errors_have_a_hint(void)
{
	CHECK_STR(cli_nearest("vm shw"), "vm show");
	CHECK_STR(cli_nearest("migrat"), "migrate");
	CHECK_STR(cli_nearest("chekc"), "check");
	CHECK(!cli_nearest("frobnicate"));
	CHECK(!cli_nearest("a word that is longer than any command could ever be"));
}

static int run(char *a, char *b)
{
	char *argv[] = { "ferry", a, b, NULL };

	return cli_main(b ? 3 : a ? 2 : 1, argv);
}

static void test_the_program(void)
{
	CHECK_EQ(run(NULL, NULL), EXIT_USAGE);
	CHECK_EQ(run("help", NULL), EXIT_DONE);
	CHECK_EQ(run("help", "migrate"), EXIT_DONE);
	CHECK_EQ(run("help", "settings"), EXIT_DONE);
	CHECK_EQ(run("help", "nothing"), EXIT_USAGE);
	CHECK_EQ(run("--help", NULL), EXIT_DONE);
	CHECK_EQ(run("vm", NULL), EXIT_USAGE);
	CHECK_EQ(run("vm", "shw"), EXIT_USAGE);
	CHECK_EQ(run("evacuate", "a"), EXIT_USAGE); // not in this version
}

int main(void)
{
	RUN(test_options_stand_anywhere);
	RUN(test_the_rest_is_not_looked_at);
	RUN(test_what_is_wrong_is_usage);
	RUN(test_commands_are_found_by_their_words);
	RUN(test_typing_errors_have_a_hint);
	RUN(test_the_program);
	return 0;
}
