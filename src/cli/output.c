// SPDX-License-Identifier: Apache-2.0
#include "cli/output.h"
#include "base/cleanup.h"
#include "cli/cli.h"

#include <stdarg.h>
#include <string.h>

void table_init(struct table *t, int columns)
{
	*t = (struct table){ .columns = columns };
}

void table_cell(struct table *t, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	if (t->n_cells == t->cap) {
		int cap = t->cap ? 2 * t->cap : 64;
		char **cells = realloc(t->cells, (size_t)cap * sizeof *cells);
		if (!cells)
			return;
		t->cells = cells;
		t->cap = cap;
	}
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	t->cells[t->n_cells++] = text;
}

static int width_of(const struct table *t, int column)
{
	int width = 0;

	for (int i = column; i < t->n_cells; i += t->columns) {
		int n = t->cells[i] ? (int)strlen(t->cells[i]) : 0;
		width = n > width ? n : width;
	}
	return width;
}

void table_print(struct table *t, FILE *out)
{
	int widths[TABLE_MAX_COLUMNS];

	for (int c = 0; c < t->columns; c++)
		widths[c] = width_of(t, c);
	for (int i = 0; i < t->n_cells; i++) {
		const char *text = t->cells[i] ? t->cells[i] : "";
		bool last = i % t->columns == t->columns - 1;
		if (last)
			fprintf(out, "%s\n", text);
		else
			fprintf(out, "%-*s  ", widths[i % t->columns], text);
		free(t->cells[i]);
	}
	free(t->cells);
	*t = (struct table){ 0 };
}

void cli_print_json(const json_t *doc)
{
	_cleanup_free_ char *text = json_dumps(doc, JSON_ONE_LINE);

	puts(text ? text : "null");
	fflush(stdout);
}

int cli_error(const struct cli *c, const struct ferry_error *e, int exit)
{
	if (c->json) {
		_cleanup_json_ json_t *doc =
			json_pack("{s:o, s:i}", "error", ferry_error_to_json(e), "exit", exit);
		cli_print_json(doc);
		return exit;
	}
	fprintf(stderr, "ferry: %s\n", e->message);
	for (int i = 0; i < FERRY_ERROR_REMEDIES; i++)
		if (e->remedies[i][0])
			fprintf(stderr, "  -> %s\n", e->remedies[i]);
	return exit;
}
