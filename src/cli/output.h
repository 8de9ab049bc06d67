// SPDX-License-Identifier: Apache-2.0
// Aligned tables for people.
#pragma once

#include <stdio.h>

#define TABLE_MAX_COLUMNS 10

struct table {
	int columns;
	int n_cells, cap;
	char **cells; // row by row, the first row is the heading; owned
};

void table_init(struct table *t, int columns);
// The next cell; after `columns` of them a new row begins. NULL is "-".
void table_cell(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// Prints and frees. Two spaces between columns, none at line ends.
void table_print(struct table *t, FILE *out);
