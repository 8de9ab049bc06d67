// SPDX-License-Identifier: Apache-2.0
// OpenCL 1.2, section 5.8: launching kernels.
#include <string.h>
#include "base/cleanup.h"
#include "guest/cl/svm.h"
#include "guest/stream/send.h"
#include "guest/stream/session.h"
#include "guest/stream/transfer.h"

struct grid {
	bool empty; // the rest is not checked then
	cl_uint dims;
	struct p_vec3 offset, global, local;
};

// ---- the grid

static cl_int check_group(const struct kernel_info *k, const struct grid *g)
{
	const struct device_limits *limits = device_limits();
	size_t most = k->work_group_size ? k->work_group_size : limits->group_size;
	uint64_t items = 1;

	for (cl_uint i = 0; i < g->dims; i++) {
		if (!g->local.v[i])
			return CL_INVALID_WORK_GROUP_SIZE;
		if (limits->item_sizes[i] && g->local.v[i] > limits->item_sizes[i])
			return CL_INVALID_WORK_ITEM_SIZE;
		if (g->global.v[i] % g->local.v[i])
			return CL_INVALID_WORK_GROUP_SIZE;
		if (__builtin_mul_overflow(items, g->local.v[i], &items))
			return CL_INVALID_WORK_GROUP_SIZE;
	}
	if (most && items > most)
		return CL_INVALID_WORK_GROUP_SIZE;
	for (int i = 0; i < 3 && k->compile_size[0]; i++)
		if (g->local.v[i] != k->compile_size[i])
			return CL_INVALID_WORK_GROUP_SIZE;
	return CL_SUCCESS;
}

static bool is_empty(cl_uint dims, const size_t *global)
{
	for (cl_uint i = 0; global && i < dims; i++)
		if (!global[i])
			return true;
	return !global;
}

static cl_int take_grid(struct grid *g, const struct kernel_info *k, cl_uint dims,
	const size_t *offset, const size_t *global, const size_t *local)
{
	*g = (struct grid){ .dims = dims, .global = { { 1, 1, 1 } } };
	if (!dims || dims > 3)
		return CL_INVALID_WORK_DIMENSION;
	if (is_empty(dims, global)) {
		g->empty = true;
		return device_limits()->version ? CL_SUCCESS : CL_INVALID_GLOBAL_WORK_SIZE;
	}
	for (cl_uint i = 0; i < dims; i++) {
		uint64_t end;
		g->global.v[i] = global[i];
		g->offset.v[i] = offset ? offset[i] : 0;
		if (__builtin_add_overflow(g->global.v[i], g->offset.v[i], &end))
			return CL_INVALID_GLOBAL_OFFSET;
	}
	if (!local && !k->compile_size[0])
		return CL_SUCCESS;
	// Without a size the one that the kernel was compiled for is the only one that can be meant.
	for (cl_uint i = 0; i < 3; i++)
		g->local.v[i] = i >= dims ? 1 : local ? local[i] : k->compile_size[i];
	return check_group(k, g);
}

// ---- arguments

// All set, nothing that they name gone, and no more local memory than there is: PoCL 3.1 ends the process
// that launches a kernel with more.
static cl_int check_args(cl_kernel k)
{
	uint64_t local = k->info->local_bytes;

	if (k->n_unset)
		return CL_INVALID_KERNEL_ARGS;
	for (cl_uint i = 0; i < k->info->n_args; i++) {
		const struct kernel_arg *a = &k->args[i];
		bool names = a->kind != PROTO_ARG_BYTES && a->kind != PROTO_ARG_LOCAL;
		if (a->kind == PROTO_ARG_LOCAL && __builtin_add_overflow(local, a->value, &local))
			return CL_OUT_OF_RESOURCES;
		if (names && a->value && !object_alive((uint32_t)a->value, a->serial))
			return CL_INVALID_KERNEL_ARGS;
	}
	return local > device_limits()->local_bytes ? CL_OUT_OF_RESOURCES : CL_SUCCESS;
}

// An allocation's offset, little-endian.
static struct p_blob put_offset(const struct kernel_arg *a, uint8_t to[8])
{
	for (int i = 0; i < 8; i++)
		to[i] = (uint8_t)(a->offset >> 8 * i);
	return (struct p_blob){ to, 8 };
}

// Packs changed arguments from *at on until the next does not fit. Scratch memory under the lock,
// which must not be given up before the message is in the send buffer.
static struct p_blob pack_args(cl_kernel k, cl_uint *at)
{
	static struct buf scratch;

	buf_reset(&scratch);
	for (; *at < k->info->n_args; ++*at) {
		const struct kernel_arg *a = &k->args[*at];
		struct p_arg item = { *at, a->kind, a->value, { a->bytes, a->n } };
		size_t before = scratch.len;
		if (a->state != ARG_CHANGED)
			continue;
		uint8_t offset[8];
		if (a->kind == PROTO_ARG_SVM)
			item.bytes = put_offset(a, offset);
		else if (a->kind != PROTO_ARG_BYTES)
			item.bytes = (struct p_blob){ NULL, 0 };
		if (p_put_arg_item(&scratch, &item) < 0 || scratch.len > PROTO_ARGS_MAX) {
			scratch.len = before;
			break;
		}
	}
	return p_blob_of(&scratch);
}

static void all_sent(cl_kernel k)
{
	for (cl_uint i = 0; i < k->info->n_args; i++)
		k->args[i].state = ARG_SENT;
	k->n_changed = 0;
}

// What does not fit beside the launch goes ahead of it.
static cl_int send_args(cl_kernel k, struct p_blob *ret_last)
{
	cl_uint at = 0;

	*ret_last = (struct p_blob){ NULL, 0 };
	cl_int err = k->svm_changed ? svm_names_send(k) : CL_SUCCESS;
	if (err)
		return err;
	while (k->n_changed) {
		err = session_room(1);
		if (err)
			return err;
		cl_uint from = at;
		*ret_last = pack_args(k, &at);
		if (at == k->info->n_args)
			return CL_SUCCESS;
		if (at == from)
			return CL_OUT_OF_HOST_MEMORY;
		struct p_kernel_args m = { k->o.id, *ret_last };
		err = send_kernel_args(0, &m, NULL);
		if (err)
			return err;
	}
	return session_room(1);
}

// ---- the calls

static cl_int check_kernel(cl_kernel k, cl_command_queue q)
{
	cl_int err = object_check(k, &kernel_class);

	if (err)
		return err;
	return k->context == q->context ? CL_SUCCESS : CL_INVALID_CONTEXT;
}

static cl_int launch(struct command *c, cl_kernel k, const struct grid *g)
{
	struct p_blob args;
	cl_int err = send_args(k, &args);

	if (!err)
		err = command_event(c);
	if (err)
		return err;
	struct p_launch m = { c->queue->o.id, k->o.id, event_id(c->event), g->dims, g->offset,
		g->global, g->local, waits_ids(&c->waits), args };
	err = send_launch(0, &m, &c->seq);
	if (!err && k->n_changed)
		all_sent(k);
	return command_end(c, err);
}

static cl_int enqueue(cl_command_queue q, cl_command_type type, cl_kernel k, cl_uint dims,
	const size_t *offset, const size_t *global, const size_t *local, cl_uint n,
	const cl_event *list, cl_event *event)
{
	LOCKED;
	struct command c;
	struct grid g;
	cl_int err = command_begin(&c, q, type, n, list, event, false);

	if (!err)
		err = check_kernel(k, q);
	if (!err)
		err = take_grid(&g, k->info, dims, offset, global, local);
	if (!err)
		err = check_args(k);
	if (err)
		return err;
	// "The kernel command will trivially succeed after its event dependencies are satisfied" (OpenCL
	// 3.0, section 5.8).
	return g.empty ? command_turn(&c) : launch(&c, k, &g);
}

cl_int ferry_clEnqueueNDRangeKernel(cl_command_queue q, cl_kernel k, cl_uint dims,
	const size_t *offset, const size_t *global, const size_t *local, cl_uint n,
	const cl_event *list, cl_event *event)
{
	return enqueue(
		q, CL_COMMAND_NDRANGE_KERNEL, k, dims, offset, global, local, n, list, event);
}

cl_int ferry_clEnqueueTask(
	cl_command_queue q, cl_kernel k, cl_uint n, const cl_event *list, cl_event *event)
{
	const size_t one = 1;

	return enqueue(q, CL_COMMAND_TASK, k, 1, NULL, &one, &one, n, list, event);
}
