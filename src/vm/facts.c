// SPDX-License-Identifier: Apache-2.0
#include "vm/facts.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/process.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define PROGRAM "qemu-system-x86_64"
// The machine of Debian 12's QEMU, and part of every later one until 2028: VMs made on new hosts can
// still move to old ones.
#define PREFERRED_MACHINE "pc-q35-7.2"
#define OUTPUT_CAP        (1u << 20)

bool vm_facts_parse_version(struct vm_facts *f, const char *text)
{
	unsigned major, minor, micro;

	if (sscanf(text, "QEMU emulator version %3u.%3u.%3u", &major, &minor, &micro) != 3)
		return false;
	snprintf(f->qemu_version, sizeof f->qemu_version, "%u.%u.%u", major, minor, micro);
	return true;
}

// Lines are "pc-q35-7.2           Standard PC (Q35 + ICH9, 2009)".
bool vm_facts_parse_machines(struct vm_facts *f, const char *text)
{
	unsigned best = 0, major, minor;
	char name[32];

	f->n_machines = 0;
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (sscanf(line, "%31[^ \n]", name) != 1 ||
			sscanf(name, "pc-q35-%3u.%3u", &major, &minor) != 2 ||
			f->n_machines == VM_MACHINES_MAX)
			continue;
		strcpy(f->machines[f->n_machines++], name);
		if (major * 1000 + minor >= best) {
			best = major * 1000 + minor;
			strcpy(f->default_machine, name);
		}
	}
	if (vm_facts_has_machine(f, PREFERRED_MACHINE))
		strcpy(f->default_machine, PREFERRED_MACHINE);
	return f->n_machines > 0;
}

bool vm_facts_has_machine(const struct vm_facts *f, const char *machine)
{
	for (unsigned i = 0; i < f->n_machines; i++)
		if (!strcmp(f->machines[i], machine))
			return true;
	return false;
}

// What QEMU prints when asked `first` and perhaps `second`; the caller frees it.
static int ask_qemu(const char *first, const char *second, char **ret_text, struct ferry_error *e)
{
	const char *argv[] = { PROGRAM, first, second, NULL };
	_cleanup_fd_ int fd = memfd_create("qemu-output", MFD_CLOEXEC);
	struct process_spec spec = { .argv = argv, .log_fd = fd };
	char path[40];
	int status = 0;

	if (fd < 0)
		return ferry_fail(e, errno, "process", "cannot make a memory file: %m");
	int r = process_run(&spec, &status, e);
	if (r == -ENOENT)
		ferry_error_remedy(e, "install the package qemu-system-x86");
	if (r < 0)
		return r;
	if (status)
		return ferry_fail(e, EPROTO, "qemu", PROGRAM " %s ended with status %d", first,
			WEXITSTATUS(status));
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return file_read(path, OUTPUT_CAP, ret_text, NULL, e);
}

// The line of /proc/cpuinfo that begins with `key`: its value, cut at the line's end.
static const char *cpu_line(const char *text, const char *key, size_t *ret_n)
{
	const char *at = strstr(text, key), *colon = at ? strchr(at, ':') : NULL;

	*ret_n = 0;
	if (!colon)
		return "";
	*ret_n = strcspn(colon + 1, "\n");
	return colon + 1;
}

// FNV-1a, 64 bits (draft-eastlake-fnv): a name for a list of features, not a safeguard.
static uint64_t fnv1a(uint64_t h, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ (uint8_t)text[i]) * 0x100000001b3u;
	return h;
}

static int read_cpu_key(struct vm_facts *f, enum vm_accel accel, struct ferry_error *e)
{
	static const char *const keys[] = { "vendor_id", "cpu family", "model\t", "flags" };
	_cleanup_free_ char *text = NULL;
	uint64_t h = 0xcbf29ce484222325u;
	size_t n;

	if (accel == VM_ACCEL_TCG) {
		snprintf(f->cpu_key, sizeof f->cpu_key, "tcg-%s", f->qemu_version);
		return 0;
	}
	int r = file_read("/proc/cpuinfo", 4u << 20, &text, NULL, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *value = cpu_line(text, keys[i], &n);
		h = fnv1a(h, value, n);
	}
	snprintf(f->cpu_key, sizeof f->cpu_key, "kvm-%016" PRIx64, h);
	return 0;
}

int vm_facts_read(struct vm_facts *ret, enum vm_accel accel, struct ferry_error *e)
{
	_cleanup_free_ char *version = NULL, *machines = NULL;
	struct vm_facts f = { 0 };

	int r = ask_qemu("-version", NULL, &version, e);
	if (!r)
		r = ask_qemu("-machine", "help", &machines, e);
	if (r < 0)
		return r;
	if (!vm_facts_parse_version(&f, version) || !vm_facts_parse_machines(&f, machines))
		return ferry_fail(e, EPROTO, "qemu", "cannot read what " PROGRAM " says of itself");
	r = read_cpu_key(&f, accel, e);
	if (!r)
		*ret = f;
	return r;
}
