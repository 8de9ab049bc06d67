// SPDX-License-Identifier: Apache-2.0
#include "vgpu/vgpu.h"
#include "vgpu/gate/command.h"
#include "vgpu/huge_pages.h"
#include "vgpu/session/port.h"
#include "vgpu/session/queue.h"
#include "vgpu/state/state.h"
#include "vgpu/session/worker.h"
#include "vgpu/tokens/tokens.h"

#include "base/buf.h"
#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>

static void on_wake(void *arg)
{
	struct vgpu *v = arg;

	queues_collect(v);
	ports_pump(v);
}

// Appends where shared virtual memory lies, where there is some, to what guests are told.
static int put_svm(struct vgpu *v)
{
	_cleanup_buf_ struct buf where = { 0 };
	uint64_t base = v->be->ops->svm_base(v->be);

	if (!base)
		return 0;
	buf_put_u64(&where, base);
	buf_put_u64(&where, page_space_pages(v->space) * PAGE_BYTES);
	return p_put_info_item(
		&v->info, &(struct p_info){ PROTO_INFO_SVM, PROTO_SVM_WHERE, p_blob_of(&where) });
}

static int start(struct vgpu *v, const struct vgpu_config *config, struct ferry_error *e)
{
	struct be_config device = { .device = config->device,
		.slices = config->slices,
		.memory_bytes = config->memory_bytes,
		.complete = queue_on_complete,
		.arg = v };
	int r = page_space_new(config->memory_bytes, &v->space, e);

	if (r < 0)
		return r;
	device.base = page_space_base(v->space);
	device.base_is_fixed = page_space_is_fixed(v->space);
	r = config->backend->open(&device, &v->be, e);
	if (r < 0)
		return r;
	v->completions.waker = loop_waker(v->loop, on_wake, v);
	if (!v->completions.waker || v->be->ops->info(v->be, &v->info) < 0 || put_svm(v) < 0)
		return ferry_fail(e, ENOMEM, "no-memory", "no memory for the vGPU");
	r = huge_pages_new(v->loop, v->space, &v->huge, e);
	return r < 0 ? r : worker_new(v->loop, &v->worker, e);
}

int vgpu_new(const struct vgpu_config *config, struct vgpu **ret, struct ferry_error *e)
{
	struct vgpu *v = calloc(1, sizeof *v);

	if (!v)
		return ferry_fail(e, ENOMEM, "no-memory", "no memory for the vGPU");
	v->loop = config->loop;
	v->memory_bytes = config->memory_bytes;
	v->shares_memory = config->share_memory;
	pthread_mutex_init(&v->completions.lock, NULL);
	int r = start(v, config, e);
	if (r < 0) {
		vgpu_free(v);
		return r;
	}
	*ret = v;
	return 0;
}

static void free_commands(struct vgpu *v)
{
	struct command *next;

	for (struct command *c = v->spare_commands; c; c = next) {
		next = c->next;
		free(c);
	}
}

struct vgpu *vgpu_free(struct vgpu *v)
{
	if (!v)
		return NULL;
	tokens_leave(v);
	for (size_t i = 0; i < v->n_ports; i++)
		port_free(v->ports[i]);
	free(v->ports);
	v->ports = NULL; // jobs that end now still look for ports to write to
	v->n_ports = 0;
	state_own(v); // drops what only an unfinished move keeps alive
	worker_free(v->worker);
	while (v->in_flight && loop_once(v->loop, -1) == 0)
		; // kernels end by themselves; their memory must stay until then
	free_commands(v);
	watch_remove(v->completions.waker);
	if (v->be)
		v->be->ops->close(v->be);
	huge_pages_free(v->huge);
	page_space_close(v->space);
	registry_free(&v->registry);
	buf_free(&v->info);
	free(v->completions.list);
	free(v->completions.spare);
	pthread_mutex_destroy(&v->completions.lock);
	free(v);
	return NULL;
}

uint64_t vgpu_now_ns(const struct vgpu *v)
{
	return (uint64_t)(clock_now_ns() + v->clock_offset_ns);
}

static void run_warm_up(void *arg)
{
	struct vgpu *v = arg;

	v->be->ops->warm_up(v->be);
}

static void end_warm_up(void *arg)
{
}

void vgpu_warm_up(struct vgpu *v)
{
	worker_add(v->worker, run_warm_up, end_warm_up, v);
}
