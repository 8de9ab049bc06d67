// SPDX-License-Identifier: Apache-2.0
#include "host/db.h"

#include <errno.h>
#include <stdarg.h>

static int fail(sqlite3 *db, const char *what, struct ferry_error *e)
{
	return ferry_fail(e, EIO, "inventory", "inventory: %s: %s", what, sqlite3_errmsg(db));
}

int db_open(const char *path, sqlite3 **ret, struct ferry_error *e)
{
	sqlite3 *db = NULL;
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;

	if (sqlite3_open_v2(path, &db, flags, NULL) != SQLITE_OK) {
		int r = fail(db, path, e);
		sqlite3_close(db);
		return r;
	}
	sqlite3_busy_timeout(db, 2000);
	int r = db_exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;", e);
	if (r < 0) {
		sqlite3_close(db);
		return r;
	}
	*ret = db;
	return 0;
}

int db_exec(sqlite3 *db, const char *sql, struct ferry_error *e)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return fail(db, sql, e);
	return 0;
}

int db_version(sqlite3 *db, int *ret, struct ferry_error *e)
{
	sqlite3_stmt *s = NULL;
	int r = db_prepare(db, "PRAGMA user_version", &s, e);

	if (r == 0)
		r = db_step(s, e);
	if (r == 1)
		*ret = sqlite3_column_int(s, 0);
	sqlite3_finalize(s);
	return r < 0 ? r : 0;
}

int db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret, struct ferry_error *e)
{
	if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL) != SQLITE_OK)
		return fail(db, sql, e);
	return 0;
}

int db_bind(sqlite3_stmt *s, struct ferry_error *e, const char *format, ...)
{
	va_list ap;
	int rc = SQLITE_OK;

	sqlite3_reset(s);
	va_start(ap, format);
	for (int i = 1; *format && rc == SQLITE_OK; format++, i++) {
		if (*format == 's')
			rc = sqlite3_bind_text(
				s, i, va_arg(ap, const char *), -1, SQLITE_TRANSIENT);
		else
			rc = sqlite3_bind_int64(s, i, va_arg(ap, int64_t));
	}
	va_end(ap);
	return rc == SQLITE_OK ? 0 : fail(sqlite3_db_handle(s), sqlite3_sql(s), e);
}

int db_step(sqlite3_stmt *s, struct ferry_error *e)
{
	int rc = sqlite3_step(s);

	if (rc == SQLITE_ROW)
		return 1;
	int r = rc == SQLITE_DONE ? 0 : fail(sqlite3_db_handle(s), sqlite3_sql(s), e);
	sqlite3_reset(s);
	return r;
}

const char *db_text(sqlite3_stmt *s, int column)
{
	const unsigned char *text = sqlite3_column_text(s, column);

	return text ? (const char *)text : "";
}
