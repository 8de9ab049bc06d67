// SPDX-License-Identifier: Apache-2.0
#include "cli/output.h"
#include "base/test.h"

static const char *print(int columns, const char *const *cells)
{
	static char *text;
	size_t length;
	struct table t;

	free(text);
	text = NULL;
	FILE *out = open_memstream(&text, &length);
	table_init(&t, columns);
	for (; *cells; cells++)
		table_cell(&t, "%s", *cells);
	table_print(&t, out);
	fclose(out);
	return text;
}

static void test_columns_are_aligned(void)
{
	const char *const cells[] = { "NAME", "STATE", "a-long-name", "running", "x", "", NULL };

	CHECK_STR(print(2, cells), "NAME         STATE\n"
				   "a-long-name  running\n"
				   "x            \n");
}

static void test_many_rows(void)
{
	const char *cells[301];

	for (int i = 0; i < 300; i++)
		cells[i] = "x";
	cells[300] = NULL;
	CHECK_EQ(strlen(print(3, cells)), 100 * strlen("x  x  x\n"));
	CHECK_STR(print(3, cells + 300), "");
}

int main(void)
{
	RUN(test_columns_are_aligned);
	RUN(test_many_rows);
	return 0;
}
