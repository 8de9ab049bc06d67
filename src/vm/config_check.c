// SPDX-License-Identifier: Apache-2.0
#include "vm/config_check.h"
#include "base/cleanup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LETTERS    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define ALNUM      LETTERS "0123456789"
#define MEMORY_MIN (64ull << 20)
#define MEMORY_MAX (1ull << 40)

static int refuse(struct ferry_error *e, const char *field, const char *value)
{
	return ferry_fail(e, EINVAL, "bad-config", "%s '%.80s' is not valid", field, value);
}

// 1 to `max` characters out of `allowed`, the first a letter or digit.
static int check_word(const char *field, const char *value, const char *allowed, size_t max,
	struct ferry_error *e)
{
	size_t n = value ? strlen(value) : 0;

	if (!n || n > max || strspn(value, allowed) != n || !strchr(ALNUM, value[0]))
		return refuse(e, field, value ? value : "");
	return 0;
}

int vm_name_check(const char *name, struct ferry_error *e)
{
	return check_word("name", name, ALNUM "-_.", VM_NAME_MAX, e);
}

// Control characters would end a line of a log or an option; QEMU has no way to quote them.
static int check_path(const char *field, const char *value, struct ferry_error *e)
{
	size_t n = value ? strlen(value) : 0;

	if (!n || n >= 1024 || value[0] == '-')
		return refuse(e, field, value ? value : "");
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)value[i] < 32 || value[i] == 127)
			return refuse(e, field, "(control characters)");
	return 0;
}

static int check_mac(const char *value, struct ferry_error *e)
{
	unsigned b[6];
	int used = 0;

	if (strlen(value) != 17 || strspn(value, "0123456789abcdefABCDEF:") != 17 ||
		sscanf(value, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5],
			&used) != 6 ||
		used != 17 || (b[0] & 1))
		return refuse(e, "mac", value);
	return 0;
}

static int check_ip(const char *value, struct ferry_error *e)
{
	char address[INET_ADDRSTRLEN];
	const char *slash = strchr(value, '/');
	struct in_addr in;
	unsigned prefix = 33;
	int used = 0;

	if (!slash || (size_t)(slash - value) >= sizeof address)
		return refuse(e, "ip", value);
	snprintf(address, sizeof address, "%.*s", (int)(slash - value), value);
	if (strspn(slash + 1, "0123456789") != strlen(slash + 1) ||
		sscanf(slash + 1, "%2u%n", &prefix, &used) != 1 || slash[1 + used] || prefix > 32 ||
		inet_pton(AF_INET, address, &in) != 1)
		return refuse(e, "ip", value);
	return 0;
}

static int check_numbers(const struct vm_config *c, struct ferry_error *e)
{
	if (c->vcpus < 1 || c->vcpus > VM_VCPUS_MAX)
		return ferry_fail(
			e, EINVAL, "bad-config", "vcpus %u is not 1 to %d", c->vcpus, VM_VCPUS_MAX);
	if (c->memory_bytes < MEMORY_MIN || c->memory_bytes > MEMORY_MAX ||
		c->memory_bytes % (1u << 20))
		return ferry_fail(e, EINVAL, "bad-config",
			"memory of %llu bytes is not whole MiB between 64 MiB and 1 TiB",
			(unsigned long long)c->memory_bytes);
	if (c->gpus > VM_GPUS_MAX)
		return ferry_fail(
			e, EINVAL, "bad-config", "%u vGPUs are more than %d", c->gpus, VM_GPUS_MAX);
	if (c->gpus &&
		(c->ports < 1 || c->ports > VM_PORTS_MAX || c->gpus * c->ports > VM_PORTS_ALL_MAX))
		return ferry_fail(e, EINVAL, "bad-config",
			"%u ports are not 1 to %d, and %d in all", c->ports, VM_PORTS_MAX,
			VM_PORTS_ALL_MAX);
	return 0;
}

static int check_network(const struct vm_config *c, struct ferry_error *e)
{
	struct in_addr in;
	int r = 0;

	if (c->mac && !c->tap && !c->tap_fd)
		return ferry_fail(e, EINVAL, "bad-config", "a MAC address needs a tap device");
	if (c->tap)
		r = check_word("tap", c->tap, ALNUM "-_.", 15, e);
	if (!r && c->mac)
		r = check_mac(c->mac, e);
	if (!r && c->ip)
		r = check_ip(c->ip, e);
	if (!r && c->gateway && inet_pton(AF_INET, c->gateway, &in) != 1)
		r = refuse(e, "gateway", c->gateway);
	return r;
}

int vm_config_check(const struct vm_config *c, struct ferry_error *e)
{
	const struct {
		const char *field, *value;
	} paths[] = { { "dir", c->dir }, { "kernel", c->kernel }, { "initrd", c->initrd } };
	int r = vm_name_check(c->name, e);

	if (!r)
		r = check_word("machine", c->machine, ALNUM "-_.", 31, e);
	if (!r && c->cpu)
		r = check_word("cpu", c->cpu, ALNUM "-_.,=+", 127, e);
	for (size_t i = 0; !r && i < ARRAY_SIZE(paths); i++)
		r = check_path(paths[i].field, paths[i].value, e);
	if (!r && c->disk)
		r = check_path("disk", c->disk, e);
	if (!r)
		r = check_numbers(c, e);
	if (!r)
		r = check_network(c, e);
	return r;
}
