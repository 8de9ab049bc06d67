// SPDX-License-Identifier: Apache-2.0
#include "host/config.h"
#include "base/cleanup.h"
#include "base/units.h"
#include "host/settings.h"
#include "vm/cmdline.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int bad(struct ferry_error *e, const char *what)
{
	return ferry_fail(e, EINVAL, "bad-config", "%s", what);
}

// Copies an optional text; "" when it is missing or null.
static int get_text(
	const json_t *doc, const char *key, char *ret, size_t size, struct ferry_error *e)
{
	const json_t *v = json_object_get(doc, key);

	if (!v || json_is_null(v)) {
		ret[0] = 0;
		return 0;
	}
	return json_get_string(doc, key, ret, size, e);
}

// The same for a path, made absolute against the working directory.
static int get_path(
	const json_t *doc, const char *key, char *ret, size_t size, struct ferry_error *e)
{
	char text[2048], cwd[2000];
	int r = get_text(doc, key, text, sizeof text, e);

	if (r < 0)
		return r;
	if (!text[0] || text[0] == '/') {
		snprintf(ret, size, "%s", text);
		return 0;
	}
	if (!getcwd(cwd, sizeof cwd))
		return ferry_fail(e, errno, "bad-config", "no working directory: %m");
	if ((size_t)snprintf(ret, size, "%s/%s", cwd, text) >= size)
		return bad(e, "a path is too long");
	return 0;
}

static int read_peers(const json_t *doc, struct config *c, struct ferry_error *e)
{
	const json_t *peers = json_object_get(doc, "peers");
	const char *name;
	json_t *address;

	if (!peers)
		return 0;
	if (!json_is_object(peers) || json_object_size(peers) > CONFIG_MAX_PEERS)
		return bad(e, "'peers' is not an object of at most 64 hosts");
	json_object_foreach((json_t *)peers, name, address)
	{
		struct config_peer *p = &c->peers[c->n_peers];
		if (vm_name_check(name, NULL) < 0 || !json_is_string(address) ||
			json_string_length(address) > ADDRESS_MAX_BYTES)
			return bad(e, "'peers' wants {\"NAME\":\"ADDRESS:PORT\"}");
		strcpy(p->name, name);
		strcpy(p->address, json_string_value(address));
		c->n_peers++;
	}
	return 0;
}

// "10.77.0.0/16" -> network and prefix; the gateway is its first address.
static int read_subnet(const char *text, struct config *c, struct ferry_error *e)
{
	char address[32];
	struct in_addr in;

	if (sscanf(text, "%31[0-9.]/%u", address, &c->guest.prefix) != 2 || c->guest.prefix < 8 ||
		c->guest.prefix > 29 || inet_pton(AF_INET, address, &in) != 1)
		return bad(e, "'guest.subnet' is not like 10.77.0.0/16");
	c->guest.network = ntohl(in.s_addr) & ~((1u << (32 - c->guest.prefix)) - 1);
	in.s_addr = htonl(c->guest.network + 1);
	inet_ntop(AF_INET, &in, c->guest.gateway, sizeof c->guest.gateway);
	return 0;
}

static int read_guest(const json_t *doc, struct config *c, struct ferry_error *e)
{
	const json_t *guest = json_object_get(doc, "guest");
	char subnet[40], first[40];
	struct in_addr in;

	if (!guest || json_is_null(guest))
		return 0;
	int r = get_text(guest, "bridge", c->guest.bridge, sizeof c->guest.bridge, e);
	if (r == 0)
		r = json_get_string(guest, "subnet", subnet, sizeof subnet, e);
	if (r == 0)
		r = json_get_string(guest, "first", first, sizeof first, e);
	if (r == 0)
		r = read_subnet(subnet, c, e);
	if (r < 0)
		return r;
	if (inet_pton(AF_INET, first, &in) != 1)
		return bad(e, "'guest.first' is not an address");
	c->guest.first = ntohl(in.s_addr);
	if (c->guest.first >> (32 - c->guest.prefix) != c->guest.network >> (32 - c->guest.prefix))
		return bad(e, "'guest.first' is not in 'guest.subnet'");
	return 0;
}

static int read_env(const json_t *doc, struct config *c, struct ferry_error *e)
{
	const json_t *env = json_object_get(doc, "env");
	const char *name;
	json_t *value;
	size_t n = 0;

	if (env && !json_is_object(env))
		return bad(e, "'env' is not an object");
	c->env = calloc(json_object_size(env) + 1, sizeof *c->env);
	if (!c->env)
		return ferry_fail(e, ENOMEM, "no-memory", "no memory for the configuration");
	json_object_foreach((json_t *)env, name, value)
	{
		if (!json_is_string(value) || strchr(name, '='))
			return bad(e, "'env' wants {\"NAME\":\"text\"}");
		if (asprintf(&c->env[n], "%s=%s", name, json_string_value(value)) < 0)
			return ferry_fail(
				e, ENOMEM, "no-memory", "no memory for the configuration");
		n++;
	}
	return 0;
}

static int read_settings(const json_t *doc, struct config *c, struct ferry_error *e)
{
	const json_t *all = json_object_get(doc, "settings");
	const char *key;
	json_t *value;

	if (!all)
		return 0;
	if (!json_is_object(all))
		return bad(e, "'settings' is not an object");
	json_object_foreach((json_t *)all, key, value)
	{
		const struct setting *s = setting_find(key, e);
		int r = s && json_is_string(value) ? setting_check(s, json_string_value(value), e)
						   : -1;
		if (r < 0)
			return s   ? ferry_fail(e, EINVAL, "bad-config", "setting '%s'", key)
			       : e ? e->err
				   : -EINVAL;
	}
	c->settings = json_deep_copy(all);
	return 0;
}

static int read_limits(const json_t *doc, struct config *c, struct ferry_error *e)
{
	const json_t *vgpu = json_object_get(doc, "vgpu");
	char rate[40], memory[40] = "";
	int r = get_text(doc, "bandwidth", rate, sizeof rate, e);

	if (r == 0 && rate[0])
		r = rate_parse(rate, &c->bandwidth_bytes_per_s, e);
	if (r == 0)
		r = get_text(doc, "memory", memory, sizeof memory, e);
	if (r == 0 && memory[0])
		r = size_parse(memory, &c->memory_bytes, e);
	if (r == 0 && memory[0] && !c->memory_bytes)
		r = bad(e, "'memory' is nothing: leave it out where VMs may have all");
	if (r < 0)
		return r;
	if (vgpu && !json_is_object(vgpu))
		return bad(e, "'vgpu' is not an object");
	r = get_text(vgpu, "tracker", c->tracker, sizeof c->tracker, e);
	if (r < 0)
		return r;
	if (!c->tracker[0])
		strcpy(c->tracker, "auto");
	if (strcmp(c->tracker, "auto") && strcmp(c->tracker, "wp") && strcmp(c->tracker, "digest"))
		return bad(e, "'vgpu.tracker' is not auto, wp or digest");
	return json_object_get(doc, "faults") ? json_get_bool(doc, "faults", &c->faults, e) : 0;
}

// A field that nobody reads is most likely a typing error.
static int check_fields(const json_t *doc, struct ferry_error *e)
{
	static const char *const known[] = { "host", "state", "listen", "peers", "guest", "image",
		"programs", "faults", "bandwidth", "memory", "vgpu", "env", "settings", NULL };
	const char *key;
	json_t *value;

	if (!json_is_object(doc))
		return bad(e, "the configuration is not a JSON object");
	json_object_foreach((json_t *)doc, key, value)
	{
		const char *const *k = known;
		while (*k && strcmp(*k, key))
			k++;
		if (!*k)
			return ferry_fail(
				e, EINVAL, "bad-config", "there is no field '%.60s'", key);
	}
	return 0;
}

static int read_all(const json_t *doc, struct config *c, struct ferry_error *e)
{
	int r = check_fields(doc, e);
	if (r == 0)
		r = json_get_string(doc, "host", c->host, sizeof c->host, e);
	if (r == 0 && vm_name_check(c->host, NULL) < 0)
		r = bad(e, "'host' is not a name");
	if (r == 0)
		r = get_path(doc, "state", c->state, sizeof c->state, e);
	if (r == 0 && !c->state[0])
		r = bad(e, "'state' is missing");
	if (r == 0)
		r = get_text(doc, "listen", c->listen, sizeof c->listen, e);
	if (r == 0)
		r = read_peers(doc, c, e);
	if (r == 0)
		r = read_guest(doc, c, e);
	if (r == 0)
		r = get_path(doc, "image", c->image, sizeof c->image, e);
	if (r == 0)
		r = get_path(doc, "programs", c->programs, sizeof c->programs, e);
	if (r == 0)
		r = read_limits(doc, c, e);
	if (r == 0)
		r = read_env(doc, c, e);
	return r < 0 ? r : read_settings(doc, c, e);
}

int config_parse(const json_t *doc, struct config *c, struct ferry_error *e)
{
	struct config fresh = { 0 };
	int r = read_all(doc, &fresh, e);

	if (r < 0)
		config_free(&fresh);
	else
		*c = fresh;
	return r;
}

int config_load(const char *path, struct config *c, struct ferry_error *e)
{
	_cleanup_json_ json_t *doc = json_parse_file(path, e);
	int r = doc ? config_parse(doc, c, e) : -EINVAL;

	if (r < 0)
		ferry_error_prefix(e, "%s", path);
	return r;
}

void config_free(struct config *c)
{
	for (char **env = c->env; env && *env; env++)
		free(*env);
	free(c->env);
	json_decref(c->settings);
	*c = (struct config){ 0 };
}

const char *config_peer_address(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->n_peers; i++)
		if (!strcmp(c->peers[i].name, name))
			return c->peers[i].address;
	return NULL;
}
