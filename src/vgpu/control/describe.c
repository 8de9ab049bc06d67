// SPDX-License-Identifier: Apache-2.0
#include "vgpu/control/describe.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/temporary.h"
#include "pages/page_space.h"

#include <stdio.h>
#include <stdlib.h>

json_t *describe_device(struct backend *be)
{
	const struct be_device *d = be->ops->device(be);

	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:b}", "name", d->name, "vendor", d->vendor,
		"version", d->version, "driver", d->driver, "key", d->key, "svm",
		be->ops->svm_base(be) != 0);
}

static int print(struct backend *be)
{
	_cleanup_json_ json_t *device = describe_device(be);
	_cleanup_free_ char *text = device ? json_dumps(device, JSON_COMPACT) : NULL;

	return text && puts(text) >= 0 && fflush(stdout) == 0 ? 0 : 1;
}

static int open_and_print(const struct options *o, struct ferry_error *e)
{
	struct be_config config = { .device = o->device, .memory_bytes = PAGE_BYTES };
	struct page_space *space = NULL;
	struct backend *be = NULL;

	int r = page_space_new(PAGE_BYTES, &space, e);
	if (r == 0) {
		config.base = page_space_base(space);
		config.base_is_fixed = page_space_is_fixed(space);
		r = backend_cl.open(&config, &be, e);
	}
	if (r == 0)
		r = print(be);
	backend_cl.close(be);
	page_space_close(space);
	return r;
}

int describe_print(const struct options *o)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	struct temporary cache; // the driver makes one as soon as it is looked at
	const char *tmp = getenv("TMPDIR");

	int r = temporary_make(&cache, tmp ? tmp : "/tmp", "ferry-device.", &e);
	if (r == 0) {
		setenv("POCL_CACHE_DIR", cache.path, 1);
		r = open_and_print(o, &e);
		temporary_remove(&cache);
	}
	if (r < 0)
		log_error("%s", e.message);
	return r ? 1 : 0;
}
