// SPDX-License-Identifier: Apache-2.0
#include "vm/qtree.h"

#include <stdio.h>
#include <string.h>

json_t *qtree_args(void)
{
	return json_pack("{s:s}", "command-line", "info qtree");
}

// Whether `word` stands in what is said of that port.
static bool says(const char *text, const char *id, const char *word)
{
	char device[64];

	snprintf(device, sizeof device, "dev: virtserialport, id \"%s\"", id);
	const char *at = strstr(text, device);
	if (!at)
		return false;
	at += strlen(device);
	const char *next = strstr(at, "dev: "), *found = strstr(at, word);
	return found && (!next || found < next);
}

bool qtree_is_open(const char *text, const char *id)
{
	return says(text, id, ", guest on,");
}

bool qtree_is_held(const char *text, const char *id)
{
	return says(text, id, ", throttle on");
}
