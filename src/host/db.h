// SPDX-License-Identifier: Apache-2.0
// A small wrapper of SQLite: prepared statements with checked steps. Knows no tables.
#pragma once

#include <sqlite3.h>
#include <stdint.h>
#include "base/error.h"

// Opens or creates the file, write-ahead log, a busy time of 2 s.
int db_open(const char *path, sqlite3 **ret, struct ferry_error *e);

// Runs statements without parameters or results.
int db_exec(sqlite3 *db, const char *sql, struct ferry_error *e);

// The schema's version (PRAGMA user_version).
int db_version(sqlite3 *db, int *ret, struct ferry_error *e);

// Prepares for reuse. A failure names the statement.
int db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret, struct ferry_error *e);

// Binds in order by a format: 's' const char * (NULL: null), 'i' int64_t. Earlier bindings and
// results are dropped first. Strings must live until the step.
int db_bind(sqlite3_stmt *s, struct ferry_error *e, const char *format, ...);

// Next row: 1, 0 at the end (the statement is reset then), or -errno.
int db_step(sqlite3_stmt *s, struct ferry_error *e);

// A column as text, "" for null; until the next step.
const char *db_text(sqlite3_stmt *s, int column);
