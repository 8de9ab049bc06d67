// SPDX-License-Identifier: Apache-2.0
#include "host/device.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/process.h"
#include "host/host.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ASK_AGAIN_NS (60 * NSEC_PER_SEC)
#define SAID_MAX     8192

void host_device_parse(struct host_device *ret, const json_t *device)
{
	*ret = (struct host_device){ .svm = json_is_true(json_object_get(device, "svm")) };
	snprintf(ret->key, sizeof ret->key, "%s", json_string_or(device, "key", ""));
	snprintf(ret->name, sizeof ret->name, "%s", json_string_or(device, "name", ""));
	snprintf(ret->driver, sizeof ret->driver, "%s", json_string_or(device, "driver", ""));
}

json_t *host_device_to_json(const struct host_device *d)
{
	return json_pack("{s:s, s:s, s:s, s:b}", "name", d->name, "driver", d->driver, "key",
		d->key, "svm", d->svm);
}

// The line that is the answer; a driver may have said other things before.
static json_t *find_answer(char *text)
{
	char *line, *rest = text;

	while ((line = strsep(&rest, "\n")) != NULL)
		if (line[0] == '{')
			return json_loads(line, 0, NULL);
	return NULL;
}

static void on_said(void *arg, pid_t pid, int status)
{
	struct host *h = arg;
	struct host_device_reader *r = &h->device_reader;
	char text[SAID_MAX] = "", how[80];
	ssize_t n = pread(r->said, text, sizeof text - 1, 0);

	text[n > 0 ? n : 0] = 0;
	r->exit = watch_remove(r->exit);
	close(r->said);
	process_describe_end(status, how, sizeof how);
	_cleanup_json_ json_t *device = status == 0 ? find_answer(text) : NULL;
	if (device)
		host_device_parse(&h->device, device);
	else
		log_warn("the device is not known: ferry-vgpu --describe: %s", how);
}

static int ask(struct host *h, struct ferry_error *e)
{
	struct host_device_reader *r = &h->device_reader;
	char program[PATH_MAX];
	pid_t pid;

	snprintf(program, sizeof program, "%.4000s/ferry-vgpu", h->config.programs);
	_cleanup_fd_ int said = memfd_create("device", MFD_CLOEXEC);
	if (said < 0)
		return ferry_fail(e, errno, "no-memory", "no memory for a device's description");
	struct process_spec spec = { .argv = (const char *[]){ program, "--describe", NULL },
		.env = (const char *const *)h->config.env,
		.log_fd = said,
		.tied = true };
	int rc = process_start(&spec, &pid, e);
	if (rc < 0)
		return rc;
	r->exit = loop_process(h->loop, pid, on_said, h);
	if (!r->exit)
		return ferry_fail(e, errno, "process", "cannot watch process %d: %m", (int)pid);
	r->said = said;
	said = -1;
	return 0;
}

void host_device_read(struct host *h)
{
	struct host_device_reader *r = &h->device_reader;
	struct ferry_error e = FERRY_ERROR_INIT;
	int64_t now = clock_now_ns();

	if (r->exit || (r->asked_ns && now - r->asked_ns < ASK_AGAIN_NS))
		return;
	r->asked_ns = now;
	if (ask(h, &e) < 0)
		log_warn("the device is not known: %s", e.message);
}

void host_device_close(struct host *h)
{
	struct host_device_reader *r = &h->device_reader;

	if (!r->exit)
		return;
	r->exit = watch_remove(r->exit);
	close(r->said);
}
