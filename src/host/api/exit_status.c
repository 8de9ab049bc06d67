// SPDX-License-Identifier: Apache-2.0
#include "host/api/api.h"

#include <string.h>
#include "base/cleanup.h"

// What is not here is 1: it failed.
static const struct {
	const char *code;
	int exit;
} table[] = {
	{ "bad-request", 2 },
	{ "bad-json", 2 },
	{ "bad-message", 2 },
	{ "bad-size", 2 },
	{ "bad-rate", 2 },
	{ "bad-name", 2 },
	{ "bad-setting", 2 },
	{ "too-large", 2 },
	{ "no-vm", 2 },
	{ "no-profile", 2 },
	{ "no-setting", 2 },
	{ "no-file", 2 },
	{ "no-fault", 2 },
	{ "no-path", 2 },
	{ "no-method", 2 },
	{ "faults-off", 2 },
	{ "peer-unknown", 2 },
	{ "not-supported", 2 },
	{ "name-taken", 3 },
	{ "no-memory", 3 },
	{ "kind-mixed", 3 },
	{ "no-slices", 3 },
	{ "no-units", 3 },
	{ "needs-person", 4 },
};

int error_exit_status(const struct ferry_error *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (!strcmp(table[i].code, e->code))
			return table[i].exit;
	return 1;
}
