// SPDX-License-Identifier: Apache-2.0
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_SOCKET "/run/ferry/ferryd.sock"

static bool is_prefix_word(const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; i < cli_command_count; i++)
		if (!strncmp(cli_commands[i].words, word, n) && cli_commands[i].words[n] == ' ')
			return true;
	return false;
}

static int unknown(int argc, char **argv)
{
	char typed[80];

	if (argc > 1 && is_prefix_word(argv[0]))
		snprintf(typed, sizeof typed, "%.30s %.40s", argv[0], argv[1]);
	else
		snprintf(typed, sizeof typed, "%.60s", argv[0]);
	const char *near = cli_nearest(typed);
	fprintf(stderr, "ferry: there is no command '%s'%s%s%s\n", typed,
		near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
	fputs("`ferry help` lists the commands.\n", stderr);
	return EXIT_USAGE;
}

int cli_main(int argc, char **argv)
{
	struct cli c = { .socket = getenv("FERRY_SOCKET") };
	int words = 0;

	if (!c.socket || !c.socket[0])
		c.socket = DEFAULT_SOCKET;
	argc--;
	argv++;
	if (!argc || !strcmp(argv[0], "--help") || !strcmp(argv[0], "-h")) {
		cli_help(0, NULL);
		return argc ? EXIT_DONE : EXIT_USAGE;
	}
	if (!strcmp(argv[0], "help"))
		return cli_help(argc - 1, argv + 1);
	const struct cli_command *command = cli_find(argc, argv, &words);
	if (!command)
		return unknown(argc, argv);
	if (!command->run) {
		fprintf(stderr, "ferry: '%s' is not in this version\n", command->words);
		return EXIT_USAGE;
	}
	return command->run(&c, argc - words, argv + words);
}
