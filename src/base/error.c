// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void prefix_message(struct ferry_error *e, const char *text)
{
	char joined[sizeof e->message];

	snprintf(joined, sizeof joined, "%.180s: %.215s", text, e->message);
	memcpy(e->message, joined, sizeof joined);
}

int ferry_fail(struct ferry_error *e, int err, const char *code, const char *fmt, ...)
{
	char text[sizeof e->message];
	va_list ap;

	if (err > 0)
		err = -err;
	if (err == 0)
		err = -EINVAL;
	if (!e)
		return err;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);

	if (e->err) {
		prefix_message(e, text);
		return e->err;
	}
	e->err = err;
	snprintf(e->code, sizeof e->code, "%s", code ? code : "");
	memcpy(e->message, text, sizeof text);
	return err;
}

int ferry_error_prefix(struct ferry_error *e, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	if (!e)
		return 0;
	if (!e->err)
		return 0;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	prefix_message(e, text);
	return e->err;
}

void ferry_error_remedy(struct ferry_error *e, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return;
	for (int i = 0; i < FERRY_ERROR_REMEDIES; i++) {
		if (e->remedies[i][0])
			continue;
		va_start(ap, fmt);
		vsnprintf(e->remedies[i], sizeof e->remedies[i], fmt, ap);
		va_end(ap);
		return;
	}
}

json_t *ferry_error_to_json(const struct ferry_error *e)
{
	json_t *remedies = json_array();

	for (int i = 0; i < FERRY_ERROR_REMEDIES; i++)
		if (e->remedies[i][0])
			json_array_append_new(remedies, json_string(e->remedies[i]));
	return json_pack(
		"{s:s, s:s, s:o}", "code", e->code, "message", e->message, "remedies", remedies);
}

static void copy_text(char *to, size_t size, const json_t *from)
{
	const char *text = json_string_value(from);

	snprintf(to, size, "%s", text ? text : "");
}

void ferry_error_from_json(struct ferry_error *e, const json_t *doc)
{
	const json_t *remedies = json_object_get(doc, "remedies");

	*e = FERRY_ERROR_INIT;
	e->err = -EREMOTEIO;
	copy_text(e->code, sizeof e->code, json_object_get(doc, "code"));
	copy_text(e->message, sizeof e->message, json_object_get(doc, "message"));
	for (int i = 0; i < FERRY_ERROR_REMEDIES; i++)
		copy_text(e->remedies[i], sizeof e->remedies[i], json_array_get(remedies, i));
}
