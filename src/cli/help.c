// SPDX-License-Identifier: Apache-2.0
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include "cli/output.h"
#include "host/settings_table.h"

static bool begins_with(int argc, char **argv, const char *words, int *ret_words)
{
	char copy[40], *save = NULL;
	int n = 0;

	snprintf(copy, sizeof copy, "%s", words);
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save), n++)
		if (n >= argc || strcmp(w, argv[n]))
			return false;
	*ret_words = n;
	return true;
}

const struct cli_command *cli_find(int argc, char **argv, int *ret_words)
{
	for (size_t i = 0; i < cli_command_count; i++)
		if (begins_with(argc, argv, cli_commands[i].words, ret_words))
			return &cli_commands[i];
	return NULL;
}

static void overview(void)
{
	struct table t;

	puts("usage: ferry COMMAND [--json] [--socket PATH] ...\n\n"
	     "Moves running GPU VMs between hosts.\n");
	table_init(&t, 2);
	for (size_t i = 0; i < cli_command_count; i++) {
		if (!cli_commands[i].run)
			continue;
		table_cell(&t, "  %s", cli_commands[i].words);
		table_cell(&t, "%s", cli_commands[i].brief);
	}
	table_cell(&t, "  help [COMMAND]");
	table_cell(&t, "this, or more about a command; `help settings`");
	table_print(&t, stdout);
	fputs("\nnot in this version:", stdout);
	const char *comma = " ";
	for (size_t i = 0; i < cli_command_count; i++)
		if (!cli_commands[i].run) {
			printf("%s%s", comma, cli_commands[i].words);
			comma = ", ";
		}
	puts("\n\n--json      one JSON document; for long work JSON lines, the result last\n"
	     "--socket    ferryd's socket; else FERRY_SOCKET, else /run/ferry/ferryd.sock\n"
	     "exit status 0 done, 1 failed or aborted (the VM runs on the source), 2 usage,\n"
	     "            3 refused by a check, 4 a person must decide");
}

static void settings_help(void)
{
	char may[200];

	puts("Settings of a VM: `ferry vm set NAME KEY=VALUE`, `ferry vm get NAME` shows values "
	     "and\n"
	     "where each comes from. The nearest wins: command line, VM, host, file, default.");
	for (size_t i = 0; i < settings_count; i++) {
		const struct setting *s = &settings_table[i];
		setting_may(s, may, sizeof may);
		printf("\n  %s  (default %s)\n      %s\n      %s\n", s->key, s->fallback, s->help,
			may);
	}
}

int cli_help(int argc, char **argv)
{
	int words;

	if (!argc) {
		overview();
		return EXIT_DONE;
	}
	if (!strcmp(argv[0], "settings")) {
		settings_help();
		return EXIT_DONE;
	}
	const struct cli_command *c = cli_find(argc, argv, &words);
	if (!c) {
		fprintf(stderr,
			"ferry: there is no command '%s'\n`ferry help` lists the commands.\n",
			argv[0]);
		return EXIT_USAGE;
	}
	if (!c->run) {
		printf("ferry %s: not in this version\n", c->words);
		return EXIT_DONE;
	}
	printf("usage: ferry %s %s\n\n%s\n", c->words, c->usage, c->brief);
	if (c->help)
		printf("\n%s", c->help);
	return EXIT_DONE;
}
