// SPDX-License-Identifier: Apache-2.0
#include "guest/cl/include_options.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

// Cuts the next word off, quotes and backslashes taken away in place. NULL at the end.
static char *next_word(char **at)
{
	char *p = *at, *to, *word, quote = 0;

	while (isspace((unsigned char)*p))
		p++;
	if (!*p)
		return NULL;
	for (word = to = p; *p && (quote || !isspace((unsigned char)*p)); p++) {
		if (*p == quote)
			quote = 0;
		else if (!quote && (*p == '"' || *p == '\''))
			quote = *p;
		else
			*to++ = *p == '\\' && p[1] ? *++p : *p;
	}
	*at = *p ? p + 1 : p;
	*to = 0;
	return word;
}

int include_options_parse(struct include_options *o, const char *options)
{
	char *at, *word;

	*o = (struct include_options){ .text = strdup(options) };
	if (!o->text)
		return -ENOMEM;
	at = o->text;
	while ((word = next_word(&at))) {
		char kind = word[0] == '-' ? word[1] : 0;
		if (kind != 'I' && kind != 'D')
			continue;
		const char *value = word[2] ? word + 2 : next_word(&at);
		if (!value)
			break;
		if (kind == 'I' && o->n_folders < INCLUDE_FOLDERS_MAX)
			o->folders[o->n_folders++] = value;
		if (kind == 'D' && o->n_names < INCLUDE_NAMES_MAX)
			o->names[o->n_names++] = value;
	}
	return 0;
}

void include_options_free(struct include_options *o)
{
	free(o->text);
	o->text = NULL;
}

const char *include_options_value(const struct include_options *o, const char *name, size_t n)
{
	for (size_t i = o->n_names; i > 0; i--) {
		const char *def = o->names[i - 1];
		if (!strncmp(def, name, n) && def[n] == '=')
			return def + n + 1;
	}
	return NULL;
}
