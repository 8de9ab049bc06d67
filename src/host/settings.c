// SPDX-License-Identifier: Apache-2.0
#include "host/settings.h"
#include "host/host.h"
#include "host/inventory.h"
#include "host/vm.h"

// Values in documents were checked when they came in; a table that changed since does not count.
static const char *from_doc(const json_t *doc, const struct setting *s)
{
	const char *text = json_string_value(json_object_get(doc, s->key));

	return text && setting_check(s, text, NULL) == 0 ? text : NULL;
}

const char *setting_text(
	struct host *h, const struct vm *vm, const char *key, const char **ret_from)
{
	const struct setting *s = setting_find(key, NULL);
	const char *from = "default", *text = NULL;

	if (!s)
		return NULL;
	if (vm && (text = from_doc(json_object_get(vm->config, "settings"), s)))
		from = "vm";
	else if ((text = from_doc(inventory_settings(h->inventory), s)))
		from = "host";
	else if ((text = from_doc(h->config.settings, s)))
		from = "file";
	if (ret_from)
		*ret_from = from;
	return text ? text : s->fallback;
}

int64_t setting_number(struct host *h, const struct vm *vm, const char *key)
{
	const struct setting *s = setting_find(key, NULL);

	return s ? setting_value(s, setting_text(h, vm, key, NULL)) : 0;
}

bool setting_bool(struct host *h, const struct vm *vm, const char *key)
{
	return setting_number(h, vm, key) != 0;
}

json_t *settings_json(struct host *h, const struct vm *vm)
{
	json_t *all = json_array();

	for (size_t i = 0; i < settings_count; i++) {
		const struct setting *s = &settings_table[i];
		const char *from = NULL, *text = setting_text(h, vm, s->key, &from);
		json_array_append_new(all, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "key",
						   s->key, "value", text, "from", from, "default",
						   s->fallback, "unit", s->unit, "help", s->help));
	}
	return all;
}
