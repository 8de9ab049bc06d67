// SPDX-License-Identifier: Apache-2.0
#include "vgpu/control/options.h"
#include "pages/page_space.h"
#include "vgpu/user.h"
#include "vgpu/profile.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	O_CONTROL = 1,
	O_PROFILE,
	O_MEMORY,
	O_INDEX,
	O_PORTS,
	O_SERVE,
	O_INCOMING,
	O_TRACKER,
	O_VM_LOG,
	O_DEVICE,
	O_SLICES,
	O_TOKENS,
	O_SHARE,
	O_FAULTS,
	O_SHARE_MEMORY,
	O_USER,
	O_DESCRIBE,
	O_HELP
};

static const struct option known[] = {
	{ "control", required_argument, NULL, O_CONTROL },
	{ "profile", required_argument, NULL, O_PROFILE },
	{ "memory", required_argument, NULL, O_MEMORY },
	{ "index", required_argument, NULL, O_INDEX },
	{ "ports", required_argument, NULL, O_PORTS },
	{ "serve", required_argument, NULL, O_SERVE },
	{ "incoming", no_argument, NULL, O_INCOMING },
	{ "tracker", required_argument, NULL, O_TRACKER },
	{ "vm-log", required_argument, NULL, O_VM_LOG },
	{ "device", required_argument, NULL, O_DEVICE },
	{ "slices", required_argument, NULL, O_SLICES },
	{ "tokens", required_argument, NULL, O_TOKENS },
	{ "share", required_argument, NULL, O_SHARE },
	{ "faults", no_argument, NULL, O_FAULTS },
	{ "share-memory", no_argument, NULL, O_SHARE_MEMORY },
	{ "user", required_argument, NULL, O_USER },
	{ "describe", no_argument, NULL, O_DESCRIBE },
	{ "help", no_argument, NULL, O_HELP },
	{ 0 },
};

static int number(
	const char *what, const char *text, uint64_t max, uint64_t *ret, struct ferry_error *e)
{
	char *end;

	errno = 0;
	unsigned long long v = strtoull(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' || v > max)
		return ferry_fail(e, EINVAL, "usage", "--%s %s: not a number up to %llu", what,
			text, (unsigned long long)max);
	*ret = v;
	return 0;
}

static int small_number(
	const char *what, const char *text, unsigned max, unsigned *ret, struct ferry_error *e)
{
	uint64_t v = 0;
	int r = number(what, text, max, &v, e);

	if (r == 0)
		*ret = (unsigned)v;
	return r;
}

static int slices(const char *text, struct be_slices *ret, struct ferry_error *e)
{
	unsigned first, count;
	int end = 0;

	if (sscanf(text, "%1u:%1u%n", &first, &count, &end) != 2 || text[end] || !count ||
		first + count > PROFILE_SLICES)
		return ferry_fail(e, EINVAL, "usage", "--slices %s: not FIRST:COUNT within %u",
			text, PROFILE_SLICES);
	*ret = (struct be_slices){ first, count };
	return 0;
}

static int option(int which, const char *value, struct options *o, struct ferry_error *e)
{
	switch (which) {
	case O_CONTROL:
		o->control = value;
		return 0;
	case O_PROFILE:
		o->profile = value;
		return 0;
	case O_MEMORY:
		return number("memory", value, PAGE_SPACE_MAX, &o->memory_bytes, e);
	case O_INDEX:
		return small_number("index", value, 7, &o->index, e);
	case O_PORTS:
		return small_number("ports", value, OPTIONS_PORTS_MAX, &o->ports, e);
	case O_SERVE:
		o->serve = value;
		return 0;
	case O_INCOMING:
		o->incoming = true;
		return 0;
	case O_TRACKER:
		o->tracker = value;
		return 0;
	case O_VM_LOG:
		o->vm_log = value;
		return 0;
	case O_DEVICE:
		return small_number("device", value, 63, &o->device, e);
	case O_SLICES:
		return slices(value, &o->slices, e);
	case O_TOKENS:
		return small_number("tokens", value, 1023, &o->tokens, e);
	case O_SHARE:
		return small_number("share", value, 100, &o->share, e);
	case O_FAULTS:
		o->faults = true;
		return 0;
	case O_SHARE_MEMORY:
		o->share_memory = true;
		return 0;
	case O_USER:
		return small_number("user", value, VGPU_USERS_LAST, &o->user, e);
	case O_DESCRIBE:
		o->describe = true;
		return 0;
	case O_HELP:
		o->help = true;
		return 0;
	default:
		return ferry_fail(e, EINVAL, "usage", "unknown option");
	}
}

int options_parse(int argc, char **argv, struct options *ret, struct ferry_error *e)
{
	struct options o = { .profile = "", .tracker = "auto" };
	int which;

	opterr = 0;
	optind = 1;
	while ((which = getopt_long(argc, argv, "", known, NULL)) != -1) {
		int r = option(which, optarg, &o, e);
		if (r < 0)
			return r;
	}
	if (optind < argc)
		return ferry_fail(e, EINVAL, "usage", "unexpected word \"%s\"", argv[optind]);
	bool serves = !o.help && !o.describe;
	if (serves && (!o.memory_bytes || o.memory_bytes % PAGE_BYTES))
		return ferry_fail(e, EINVAL, "usage", "--memory BYTES is needed, a multiple of %u",
			PAGE_BYTES);
	if (serves && !o.control && !o.serve)
		return ferry_fail(e, EINVAL, "usage", "--control PATH or --serve PATH is needed");
	*ret = o;
	return 0;
}
