// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include "cli/cli.h"

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_DFL); // `ferry vm log NAME | head` ends quietly, whoever started us
	return cli_main(argc, argv);
}
