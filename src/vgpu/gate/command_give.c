// SPDX-License-Identifier: Apache-2.0
// From a command's fields to the driver's call.
#include "vgpu/gate/command.h"
#include "vgpu/session/program.h"
#include "vgpu/session/transfer.h"
#include "vgpu/vgpu.h"

static struct be_launch launch_of(const struct launch *l)
{
	struct be_launch how = { .kernel = l->kernel->be, .dims = l->dims };

	for (int i = 0; i < 3; i++) {
		how.offset[i] = l->offset.v[i];
		how.global[i] = l->global.v[i];
		how.local[i] = l->local.v[i];
		how.has_local |= l->local.v[i] != 0;
	}
	return how;
}

int32_t command_prepare(struct command *c, bool *ret_slow)
{
	struct launch *l = &c->u.launch;

	*ret_slow = false;
	if (c->op != p_op_launch)
		return CL_SUCCESS;
	kernel_make(l->kernel);
	if (l->kernel->o.failed != CL_SUCCESS)
		return l->kernel->o.failed;
	int32_t err = kernel_apply_args(l->kernel, l->args);
	if (err != CL_SUCCESS)
		return err;
	l->args = arg_set_unref(l->args);
	struct be_launch how = launch_of(l);
	l->shape = kernel_shape(l->kernel, &how);
	*ret_slow = l->is_new = kernel_note_shape(l->kernel, l->shape);
	return CL_SUCCESS;
}

static int32_t give_launch(struct command *c)
{
	struct be_launch how = launch_of(&c->u.launch);

	return c->queue->v->be->ops->launch(c->queue->be, &how, &c->ticket);
}

static struct be_rect rect_of(const struct p_vec3 *origin, uint64_t row_pitch, uint64_t slice_pitch)
{
	return (struct be_rect){ { origin->v[0], origin->v[1], origin->v[2] }, row_pitch,
		slice_pitch };
}

static int32_t give_copy(struct command *c)
{
	const struct backend_ops *ops = c->queue->v->be->ops;
	const struct copy *k = &c->u.copy;

	if (c->op == p_op_copy)
		return ops->copy(c->queue->be, k->from->mem, k->from_origin.v[0], k->to->mem,
			k->to_origin.v[0], k->region.v[0], &c->ticket);
	struct be_rect from = rect_of(&k->from_origin, k->from_row_pitch, k->from_slice_pitch);
	struct be_rect to = rect_of(&k->to_origin, k->to_row_pitch, k->to_slice_pitch);
	size_t region[3] = { k->region.v[0], k->region.v[1], k->region.v[2] };
	return ops->copy_rect(
		c->queue->be, k->from->mem, &from, k->to->mem, &to, region, &c->ticket);
}

static int32_t give_image_fill(struct command *c)
{
	const struct image_fill *f = &c->u.image_fill;
	const size_t origin[3] = { f->origin.v[0], f->origin.v[1], f->origin.v[2] };
	const size_t region[3] = { f->region.v[0], f->region.v[1], f->region.v[2] };

	return c->queue->v->be->ops->image_fill(
		c->queue->be, f->image->b.mem, f->color, origin, region, &c->ticket);
}

int32_t command_give(struct command *c)
{
	const struct fill *f = &c->u.fill;

	switch (c->op) {
	case p_op_launch:
		return give_launch(c);
	case p_op_copy:
	case p_op_copy_rect:
		return give_copy(c);
	case p_op_fill:
		return c->queue->v->be->ops->fill(c->queue->be, f->buffer->mem, f->pattern,
			f->pattern_bytes, f->offset, f->size, &c->ticket);
	case p_op_image_fill:
		return give_image_fill(c);
	case p_op_write:
	case p_op_write_rect:
	case p_op_read:
	case p_op_read_rect:
		return transfer_give(c);
	case p_op_marker:
	case p_op_barrier:
		return c->queue->v->be->ops->mark(c->queue->be, &c->ticket);
	default:
		return CL_INVALID_OPERATION;
	}
}
