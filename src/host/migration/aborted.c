// SPDX-License-Identifier: Apache-2.0
#include "host/migration/aborted.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "host/migration/record.h"

#include <errno.h>
#include <string.h>

#define FILE_NAME "aborted.json"

// The ids, oldest first. A damaged file is begun anew: whoever was in it hears "none", which is safe.
static json_t *read_ids(void)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	_cleanup_json_ json_t *doc = json_parse_file(FILE_NAME, &e);
	json_t *ids = json_object_get(doc, "aborted");

	if (!doc && e.err != -ENOENT)
		log_error("%s; it is begun anew", e.message);
	if (json_int_or(doc, "schema", 0) == 1 && json_is_array(ids))
		return json_incref(ids);
	return json_array();
}

static bool has(const json_t *ids, const char *migration)
{
	json_t *id;
	size_t i;

	json_array_foreach(
		(json_t *)ids, i, id) if (json_is_string(id) &&
					  !strcmp(json_string_value(id), migration)) return true;
	return false;
}

bool aborted_known(const char *migration)
{
	_cleanup_json_ json_t *ids = read_ids();

	return record_id_valid(migration) && has(ids, migration);
}

int aborted_keep(const char *migration, struct ferry_error *e)
{
	_cleanup_json_ json_t *ids = read_ids();

	if (has(ids, migration))
		return 0;
	json_array_append_new(ids, json_string(migration));
	while (json_array_size(ids) > ABORTED_MAX)
		json_array_remove(ids, 0);
	_cleanup_json_ json_t *doc = json_pack("{s:i, s:O}", "schema", 1, "aborted", ids);
	_cleanup_free_ char *text = doc ? json_dumps(doc, JSON_INDENT(1)) : NULL;
	if (!text || !has(ids, migration))
		return ferry_fail(e, ENOMEM, "no-memory", "out of memory");
	return file_write_durable(FILE_NAME, text, strlen(text), e);
}
