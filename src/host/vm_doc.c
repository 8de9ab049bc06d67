// SPDX-License-Identifier: Apache-2.0
#include "host/vm_doc.h"
#include "base/cleanup.h"
#include "base/units.h"
#include "vgpu/profile.h"
#include "host/settings.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int bad(struct ferry_error *e, const char *fmt, const char *what)
	__attribute__((format(printf, 2, 0)));

static int bad(struct ferry_error *e, const char *fmt, const char *what)
{
	char text[300];

	snprintf(text, sizeof text, fmt, what);
	return ferry_fail(e, EINVAL, "bad-request", "%s", text);
}

// Absolute, short, and without control characters: paths go to logs and command lines.
static bool path_valid(const char *path)
{
	if (path[0] != '/' || strlen(path) > VM_PATH_MAX)
		return false;
	for (; *path; path++)
		if (iscntrl((unsigned char)*path))
			return false;
	return true;
}

static int check_path(const json_t *config, const char *key, struct ferry_error *e)
{
	const json_t *v = json_object_get(config, key);

	if (!v || json_is_null(v))
		return 0;
	if (!json_is_string(v) || strlen(json_string_value(v)) != json_string_length(v) ||
		!path_valid(json_string_value(v)))
		return bad(e, "'%s' is not an absolute path", key);
	return 0;
}

static int check_number(
	const json_t *config, const char *key, int64_t min, int64_t max, struct ferry_error *e)
{
	const json_t *v = json_object_get(config, key);
	int64_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < min || n > max)
		return ferry_fail(e, EINVAL, "bad-request",
			"'%s' is not a number from %lld to %lld", key, (long long)min,
			(long long)max);
	return 0;
}

static int check_device(const json_t *device, struct ferry_error *e)
{
	static const char *const kinds[] = { "passthrough:", "iso:", "serial:" };
	const char *text = json_string_value(device);

	for (size_t i = 0; text && i < ARRAY_SIZE(kinds); i++) {
		size_t n = strlen(kinds[i]);
		if (!strncmp(text, kinds[i], n) && text[n] && strlen(text) <= VM_PATH_MAX &&
			(kinds[i][0] == 'p' || path_valid(text + n)))
			return 0;
	}
	bad(e, "device '%.100s' is none", text ? text : "?");
	ferry_error_remedy(e, "write passthrough:ADDRESS, iso:/FILE or serial:/dev/NAME");
	return -EINVAL;
}

static int check_devices(const json_t *config, struct ferry_error *e)
{
	const json_t *devices = json_object_get(config, "devices");
	json_t *device;
	size_t i;
	int r = 0;

	if (!devices)
		return 0;
	if (!json_is_array(devices) || json_array_size(devices) > VM_MAX_DEVICES)
		return bad(e, "'%s' is not a list of at most 8", "devices");
	json_array_foreach(devices, i, device)
	{
		if (r == 0)
			r = check_device(device, e);
	}
	return r;
}

static int check_settings(const json_t *config, struct ferry_error *e)
{
	const json_t *settings = json_object_get(config, "settings");
	const char *key;
	json_t *value;

	if (!settings)
		return 0;
	if (!json_is_object(settings))
		return bad(e, "'%s' is not an object", "settings");
	json_object_foreach((json_t *)settings, key, value)
	{
		const struct setting *s = setting_find(key, e);
		if (!s)
			return -EINVAL;
		if (!json_is_string(value))
			return bad(e, "setting '%s' is not a text", key);
		int r = setting_check(s, json_string_value(value), e);
		if (r < 0)
			return r;
	}
	return 0;
}

// Only there when another number was asked for.
static int check_ports(const json_t *config, struct ferry_error *e)
{
	if (!json_object_get(config, "ports"))
		return 0;
	int r = check_number(config, "ports", 1, VM_PORTS_MAX, e);
	int64_t all = json_int_or(config, "vgpus", 0) * json_int_or(config, "ports", 0);
	if (r < 0 || all <= VM_PORTS_ALL_MAX)
		return r;
	return ferry_fail(e, EINVAL, "bad-request", "%lld ports are more than a VM's %d",
		(long long)all, VM_PORTS_ALL_MAX);
}

// What a user chooses, without the network.
static int check_machine(const json_t *config, struct ferry_error *e)
{
	char name[VM_NAME_MAX + 1], profile[64];
	int r = json_get_string(config, "name", name, sizeof name, e);

	if (r < 0 || vm_name_check(name, NULL) < 0) {
		ferry_fail(e, EINVAL, "bad-name", "the VM's name is not valid");
		ferry_error_remedy(
			e, "1 to 31 letters, digits, '-', '_' or '.', the first a letter or digit");
		return -EINVAL;
	}
	r = json_get_string(config, "profile", profile, sizeof profile, e);
	if (r < 0)
		return r;
	const struct profile *p = profile_find(profile, e);
	if (!p)
		return -ENOENT;
	bool vgpu = p->framebuffer_bytes > 0;
	r = check_number(config, "vgpus", vgpu ? 1 : 0, vgpu ? VM_GPUS_MAX : 0, e);
	if (r == 0)
		r = check_ports(config, e);
	if (r == 0)
		r = check_number(config, "memory_bytes", VM_MIN_MEMORY, VM_MAX_MEMORY, e);
	if (r == 0)
		r = check_number(config, "vcpus", 1, VM_VCPUS_MAX, e);
	if (r == 0)
		r = check_path(config, "overlay", e);
	if (r == 0)
		r = check_path(config, "disk", e);
	if (r == 0)
		r = check_devices(config, e);
	return r < 0 ? r : check_settings(config, e);
}

static bool mac_valid(const char *mac)
{
	if (strlen(mac) != 17)
		return false;
	for (int i = 0; i < 17; i++)
		if (i % 3 == 2 ? mac[i] != ':' : !isxdigit((unsigned char)mac[i]))
			return false;
	return true;
}

static int check_network(const json_t *config, struct ferry_error *e)
{
	char mac[18] = "", ip[INET_ADDRSTRLEN] = "", gateway[INET_ADDRSTRLEN] = "";
	struct in_addr in;
	int r = json_get_string(config, "mac", mac, sizeof mac, e);

	if (r == 0)
		r = json_get_string(config, "ip", ip, sizeof ip, e);
	if (r == 0)
		r = json_get_string(config, "gateway", gateway, sizeof gateway, e);
	if (r < 0)
		return r;
	if (!mac_valid(mac))
		return bad(e, "'%s' is not an Ethernet address", "mac");
	if (ip[0] && inet_pton(AF_INET, ip, &in) != 1)
		return bad(e, "'%s' is not an address", "ip");
	if (gateway[0] && inet_pton(AF_INET, gateway, &in) != 1)
		return bad(e, "'%s' is not an address", "gateway");
	return check_number(config, "prefix", 0, 32, e);
}

// What goes to QEMU's command line or is compared with what a host says of itself.
static bool word_valid(const char *text, const char *more)
{
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr(more, *text))
			return false;
	return true;
}

static int check_pinned(const json_t *config, struct ferry_error *e)
{
	char machine[32] = "", accel[8] = "", cpu_key[80] = "";
	int r = json_get_string(config, "machine", machine, sizeof machine, e);

	if (r == 0)
		r = json_get_string(config, "accel", accel, sizeof accel, e);
	if (r == 0)
		r = json_get_string(config, "cpu_key", cpu_key, sizeof cpu_key, e);
	if (r == 0 && !word_valid(machine, "-._"))
		r = bad(e, "'%s' is not a machine type", "machine");
	if (r == 0 && accel[0] && strcmp(accel, "tcg") && strcmp(accel, "kvm"))
		r = bad(e, "'%s' is not an accelerator", "accel");
	if (r == 0 && !word_valid(cpu_key, "-._:,+/= "))
		r = bad(e, "'%s' is not a processor's key", "cpu_key");
	return r;
}

static int check_fields(const json_t *config, const char *const *known, struct ferry_error *e)
{
	const char *key;
	json_t *value;

	if (!json_is_object(config))
		return bad(e, "the %s is not a JSON object", "configuration");
	json_object_foreach((json_t *)config, key, value)
	{
		const char *const *k = known;
		while (*k && strcmp(*k, key))
			k++;
		if (!*k)
			return bad(e, "there is no field '%.60s'", key);
	}
	return 0;
}

int vm_doc_check(const json_t *config, struct ferry_error *e)
{
	static const char *const fields[] = { "name", "profile", "vgpus", "ports", "memory_bytes",
		"vcpus", "overlay", "disk", "devices", "settings", "machine", "accel", "cpu_key",
		"mac", "ip", "prefix", "gateway", NULL };
	int r = check_fields(config, fields, e);

	if (r == 0)
		r = check_machine(config, e);
	if (r == 0)
		r = check_pinned(config, e);
	return r < 0 ? r : check_network(config, e);
}

// A text with a unit or a number of bytes; whole MiB, since QEMU wants that.
static int request_memory(const json_t *request, uint64_t *ret, struct ferry_error *e)
{
	const json_t *v = json_object_get(request, "memory");
	uint64_t bytes = VM_DEFAULT_MEMORY;
	int r = 0;

	if (json_is_string(v))
		r = size_parse(json_string_value(v), &bytes, e);
	else if (json_is_integer(v))
		bytes = (uint64_t)json_integer_value(v);
	else if (v && !json_is_null(v))
		r = bad(e, "'%s' is not a size", "memory");
	if (r < 0)
		return r;
	if (bytes < VM_MIN_MEMORY || bytes > VM_MAX_MEMORY) {
		bad(e, "%s is below 128M or above 1T", "memory");
		return -EINVAL;
	}
	*ret = (bytes + (1u << 20) - 1) & ~((1ull << 20) - 1);
	return 0;
}

static int check_exists(
	const json_t *config, const char *key, mode_t type, const char *what, struct ferry_error *e)
{
	const char *path = json_string_value(json_object_get(config, key));
	struct stat st;

	if (!path)
		return 0;
	if (stat(path, &st) < 0)
		return ferry_fail(e, errno, "no-file", "%s %s: %m", key, path);
	bool block = type == S_IFREG && S_ISBLK(st.st_mode);
	if ((st.st_mode & S_IFMT) != type && !block)
		return ferry_fail(e, EINVAL, "no-file", "%s %s is not a %s", key, path, what);
	return 0;
}

static json_t *or_null(const json_t *request, const char *key)
{
	json_t *v = json_object_get(request, key);

	return v ? json_incref(v) : json_null();
}

static json_t *build(const json_t *request, const struct profile *p, uint64_t memory)
{
	json_t *vgpus = json_object_get(request, "vgpus"),
	       *vcpus = json_object_get(request, "vcpus");
	json_t *devices = json_object_get(request, "devices");

	return json_pack("{s:O, s:s, s:o, s:I, s:o, s:o, s:o, s:o, s:{}, s:s, s:s, s:s}", "name",
		json_object_get(request, "name"), "profile", p->name, "vgpus",
		vgpus ? json_incref(vgpus) : json_integer(p->framebuffer_bytes ? 1 : 0),
		"memory_bytes", (json_int_t)memory, "vcpus",
		vcpus ? json_incref(vcpus) : json_integer(1), "overlay",
		or_null(request, "overlay"), "disk", or_null(request, "disk"), "devices",
		devices ? json_incref(devices) : json_array(), "settings", "machine", "", "accel",
		"", "cpu_key", "");
}

json_t *vm_doc_from_request(const json_t *request, struct ferry_error *e)
{
	static const char *const fields[] = { "name", "profile", "vgpus", "ports", "memory",
		"vcpus", "overlay", "disk", "devices", NULL };
	char profile[64], name[VM_NAME_MAX + 1];
	uint64_t memory = 0;

	if (check_fields(request, fields, e) < 0)
		return NULL;
	if (json_get_string(request, "name", name, sizeof name, NULL) < 0) {
		ferry_fail(e, EINVAL, "bad-name", "the VM's name is missing or longer than 31");
		return NULL;
	}
	if (json_get_string(request, "profile", profile, sizeof profile, e) < 0)
		return NULL;
	const struct profile *p = profile_find(profile, e);
	if (!p || request_memory(request, &memory, e) < 0)
		return NULL;
	_cleanup_json_ json_t *config = build(request, p, memory);
	if (json_object_get(request, "ports"))
		json_object_set(config, "ports", json_object_get(request, "ports"));
	if (check_machine(config, e) < 0 ||
		check_exists(config, "overlay", S_IFDIR, "folder", e) < 0 ||
		check_exists(config, "disk", S_IFREG, "file", e) < 0)
		return NULL;
	return take_ptr(config);
}

// FNV-1a (Fowler, Noll, Vo): enough to spread names over 2^24 local addresses.
static uint32_t hash(const char *a, const char *b)
{
	uint32_t h = 2166136261u;

	for (; *a; a++)
		h = (h ^ (uint8_t)*a) * 16777619u;
	h = (h ^ '/') * 16777619u;
	for (; *b; b++)
		h = (h ^ (uint8_t)*b) * 16777619u;
	return h;
}

void vm_doc_add_network(json_t *config, const struct config *c, uint32_t ip)
{
	uint32_t h = hash(c->host, json_string_value(json_object_get(config, "name")));
	struct in_addr in = { htonl(ip) };
	char mac[18], text[INET_ADDRSTRLEN] = "";

	snprintf(mac, sizeof mac, "52:54:00:%02x:%02x:%02x", h >> 16 & 255, h >> 8 & 255, h & 255);
	if (ip)
		inet_ntop(AF_INET, &in, text, sizeof text);
	json_object_set_new(config, "mac", json_string(mac));
	json_object_set_new(config, "ip", json_string(text));
	json_object_set_new(config, "prefix", json_integer(ip ? c->guest.prefix : 0));
	json_object_set_new(config, "gateway", json_string(ip ? c->guest.gateway : ""));
}

int vm_doc_read(const json_t *config, struct vm_spec *ret, struct ferry_error *e)
{
	const char *name = json_string_or(config, "profile", "");
	const struct profile *p = profile_find(name, e);

	if (!p)
		return -ENOENT;
	*ret = (struct vm_spec){
		.name = json_string_or(config, "name", ""),
		.profile = name,
		.vgpus = (unsigned)json_int_or(config, "vgpus", 0),
		.ports = (unsigned)json_int_or(config, "ports", VM_PORTS_PER_GPU),
		.vcpus = (unsigned)json_int_or(config, "vcpus", 1),
		.memory_bytes = (uint64_t)json_int_or(config, "memory_bytes", 0),
		.framebuffer_bytes = p->framebuffer_bytes,
		.overlay = json_string_or(config, "overlay", NULL),
		.disk = json_string_or(config, "disk", NULL),
		.mac = json_string_or(config, "mac", ""),
		.ip = json_string_or(config, "ip", ""),
		.gateway = json_string_or(config, "gateway", ""),
		.machine = json_string_or(config, "machine", ""),
		.prefix = (unsigned)json_int_or(config, "prefix", 0),
	};
	return 0;
}
