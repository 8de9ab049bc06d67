// SPDX-License-Identifier: Apache-2.0
#include "cli/profiles.h"

#include <unistd.h>
#include "base/cleanup.h"
#include "base/socket.h"
#include "cli/http.h"
#include "vgpu/profile.h"

static json_t *own_table(void)
{
	json_t *all = json_array();

	for (size_t i = 0; i < profile_count; i++)
		json_array_append_new(all, profile_to_json(&profiles[i]));
	return all;
}

static bool daemon_listens(const struct cli *c)
{
	_cleanup_fd_ int fd = unix_connect(c->socket, NULL);

	return fd >= 0;
}

int profiles_get(struct cli *c, json_t **ret, bool *ret_placeable)
{
	bool asked = daemon_listens(c);
	int exit = asked ? http_call(c, "GET", "profiles", NULL, ret) : EXIT_DONE;

	if (exit)
		return exit;
	if (!asked)
		*ret = own_table();
	*ret_placeable = asked;
	return EXIT_DONE;
}
