// SPDX-License-Identifier: Apache-2.0
// A daemon without a migration driver: everything is refused by name.
#include "host/migration/migration.h"

#include <errno.h>

static int absent(struct ferry_error *e)
{
	return ferry_fail(e, ENOSYS, "no-driver", "this ferryd was built without migration");
}

int migration_start(struct vm *vm, const struct migration_params *p,
	const struct migration_observer *o, void *arg, struct ferry_error *e)
{
	return absent(e);
}

int migration_cancel(struct vm *vm, struct ferry_error *e)
{
	return ferry_fail(e, ENOENT, "no-migration", "VM '%s' is not being migrated", vm->name);
}

int migration_estimate(struct vm *vm, const struct migration_params *p, migration_estimate_fn fn,
	void *arg, struct ferry_error *e)
{
	return absent(e);
}

int migration_decide(struct vm *vm, const char *decision, vm_done_fn fn, void *arg,
	struct ferry_error *e)
{
	return absent(e);
}

void migration_peer_request(struct host *h, struct peer *p, int64_t id, const char *op,
	json_t *args)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	absent(&e);
	link_refuse(peer_link(p), id, &e);
}

int migration_accept_channel(struct host *h, int fd, const struct preface *p, struct ferry_error *e)
{
	return absent(e);
}

int migration_recover(struct host *h, struct ferry_error *e)
{
	return 0;
}

void migration_close(struct host *h)
{
}
