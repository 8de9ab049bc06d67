// SPDX-License-Identifier: Apache-2.0
#include "pages/tracker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int choose_auto(const struct tracker_ops **ret, char ret_reason[TRACKER_REASON_MAX])
{
	struct ferry_error why = FERRY_ERROR_INIT;

	if (!tracker_wp.probe(&why)) {
		*ret = &tracker_wp;
		snprintf(ret_reason, TRACKER_REASON_MAX, "the kernel's write tracking works here");
		return 0;
	}
	*ret = &tracker_digest;
	snprintf(ret_reason, TRACKER_REASON_MAX, "no write tracking: %.170s", why.message);
	return 0;
}

int tracker_choose(const char *name, const struct tracker_ops **ret,
	char ret_reason[TRACKER_REASON_MAX], struct ferry_error *e)
{
	static const struct tracker_ops *const all[] = { &tracker_wp, &tracker_digest };
	const char *env = getenv("FERRY_TRACKER");
	const char *who = "asked for";

	if (!strcmp(name, "auto") && env && *env) {
		name = env;
		who = "set in FERRY_TRACKER";
	}
	if (!strcmp(name, "auto"))
		return choose_auto(ret, ret_reason);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		int rc;

		if (strcmp(name, all[i]->name))
			continue;
		rc = all[i]->probe(e);
		if (rc)
			return rc;
		*ret = all[i];
		snprintf(ret_reason, TRACKER_REASON_MAX, "%s", who);
		return 0;
	}
	return ferry_fail(e, EINVAL, "bad-tracker", "tracker '%s': not auto, wp or digest", name);
}
