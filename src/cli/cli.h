// SPDX-License-Identifier: Apache-2.0
// src/cli is `ferry`: HTTP to ferryd's unix socket and nothing else. One file per subcommand; this
// header is what they share. Each command returns the exit status: 0 done, 1 failed or aborted,
// 2 usage, 3 refused by a check, 4 needs a person.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>
#include "base/error.h"
#include "base/json.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_REFUSED = 3, EXIT_PERSON = 4 };

struct cli {
	bool json;          // --json
	const char *socket; // --socket, FERRY_SOCKET or the default
};

// The values of an option that may be given more than once.
struct cli_words {
	const char *words[16];
	int n;
};

// An option of a command: "--name VALUE" into *text, or "--name" into *flag, or into *many.
struct cli_option {
	const char *name; // without the dashes; NULL ends the table
	const char **text;
	bool *flag;
	struct cli_words *many;
};

struct cli_command {
	const char *words; // "vm create"
	const char *usage; // "NAME --profile P [--memory 512M]"
	const char *brief; // one line
	const char *help;  // the rest of `ferry help vm create`; may be NULL
	// argv without the command's words. NULL: in the contract, not in this version.
	int (*run)(struct cli *c, int argc, char **argv);
};

extern const struct cli_command cli_commands[];
extern const size_t cli_command_count;

// Sorts argv into options, anywhere before "--", and at most `max` operands. What follows "--" is
// in *ret_rest (NULL: not allowed), NULL-terminated as argv is. Common options go to `c`. Returns
// the number of operands, or -EXIT_USAGE after a message with a hint.
struct cli_args {
	const char *operands[4];
	int n;
	char **rest; // after "--"; NULL: there was none
};
int cli_parse(struct cli *c, const char *command, int argc, char **argv,
	const struct cli_option *options, int min, int max, struct cli_args *ret);

// "ferry: MESSAGE" on standard error, the usage line of the command, and EXIT_USAGE.
int cli_usage(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// The error for people, or as {"error":...,"exit":N} with --json; returns `exit`.
int cli_error(const struct cli *c, const struct ferry_error *e, int exit);

// All of `ferry`: finds the command and runs it; its exit status.
int cli_main(int argc, char **argv);

// `ferry help [COMMAND...]`.
int cli_help(int argc, char **argv);
// The command that argv begins with, and in *ret_words how many words that takes; NULL: none.
const struct cli_command *cli_find(int argc, char **argv, int *ret_words);
// The known word or command nearest to a mistyped one, or NULL.
const char *cli_nearest(const char *typed);

void cli_print_json(const json_t *doc); // one line, flushed

// One function per command, each in its own file.
int cmd_cancel(struct cli *c, int argc, char **argv);
int cmd_check(struct cli *c, int argc, char **argv);
int cmd_estimate(struct cli *c, int argc, char **argv);
int cmd_events(struct cli *c, int argc, char **argv);
int cmd_fault(struct cli *c, int argc, char **argv);
int cmd_history(struct cli *c, int argc, char **argv);
int cmd_host_get(struct cli *c, int argc, char **argv);
int cmd_host_set(struct cli *c, int argc, char **argv);
int cmd_host_show(struct cli *c, int argc, char **argv);
int cmd_migrate(struct cli *c, int argc, char **argv);
int cmd_profile_advise(struct cli *c, int argc, char **argv);
int cmd_profile_list(struct cli *c, int argc, char **argv);
int cmd_recover(struct cli *c, int argc, char **argv);
int cmd_run(struct cli *c, int argc, char **argv);
int cmd_vm_create(struct cli *c, int argc, char **argv);
int cmd_vm_exec(struct cli *c, int argc, char **argv);
int cmd_vm_get(struct cli *c, int argc, char **argv);
int cmd_vm_list(struct cli *c, int argc, char **argv);
int cmd_vm_log(struct cli *c, int argc, char **argv);
int cmd_vm_rm(struct cli *c, int argc, char **argv);
int cmd_vm_set(struct cli *c, int argc, char **argv);
int cmd_vm_show(struct cli *c, int argc, char **argv);
int cmd_vm_start(struct cli *c, int argc, char **argv);
int cmd_vm_stop(struct cli *c, int argc, char **argv);
