// SPDX-License-Identifier: Apache-2.0
#include "vgpu/testing/fake_backend.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "pages/page_space.h"
#include "vgpu/protocol/protocol.h"

struct fake {
	struct backend be;
	struct be_config config;
	bool holds;
	void *held[1024]; // tokens
	size_t n_held;
};

struct be_mem {
	uint8_t *at;
};

static atomic_bool holds_compilers;
static char image_kernel, thing; // what handles without a state of their own point to

static int fake_open(const struct be_config *config, struct backend **ret, struct ferry_error *e)
{
	struct fake *f = calloc(1, sizeof *f);

	if (!f)
		return ferry_fail(e, ENOMEM, "no-memory", "no memory");
	f->be.ops = &backend_fake;
	f->config = *config;
	*ret = &f->be;
	return 0;
}

static void fake_close(struct backend *be)
{
	free(be);
}

static void fake_warm_up(struct backend *be)
{
}

static const struct be_device *fake_device(const struct backend *be)
{
	static const struct be_device device = { "fake", "fake", "1", "1", "key" };

	return &device;
}

static int fake_info(struct backend *be, struct buf *items)
{
	return 0;
}

// Not where it is: two vGPUs of one process have it.
static uint64_t fake_svm_base(const struct backend *be)
{
	return PAGE_SPACE_BASE;
}

static cl_int fake_part_new(struct backend *be, struct be_part *parent,
	const struct be_partition *how, struct be_part **ret)
{
	if (how->n != 1)
		return CL_INVALID_VALUE;
	*ret = (struct be_part *)&thing;
	return CL_SUCCESS;
}

static cl_int fake_queue_new(
	struct backend *be, struct be_part *part, bool profiling, struct be_queue **ret)
{
	*ret = (struct be_queue *)&thing;
	return CL_SUCCESS;
}

static void fake_queue_any(struct be_queue *q)
{
}

static cl_int new_mem(uint8_t *at, struct be_mem **ret)
{
	*ret = malloc(sizeof **ret);
	if (!*ret)
		return CL_OUT_OF_HOST_MEMORY;
	(*ret)->at = at;
	return CL_SUCCESS;
}

static cl_int fake_mem_new(
	struct backend *be, cl_mem_flags flags, uint64_t offset, size_t size, struct be_mem **ret)
{
	return new_mem(((struct fake *)be)->config.base + offset, ret);
}

static cl_int fake_mem_sub(
	struct be_mem *parent, cl_mem_flags flags, size_t origin, size_t size, struct be_mem **ret)
{
	return new_mem(parent->at + origin, ret);
}

static cl_int fake_image_new(struct backend *be, const struct be_image *how, uint64_t offset,
	struct be_mem *parent, struct be_mem **ret)
{
	return new_mem(parent ? parent->at : ((struct fake *)be)->config.base + offset, ret);
}

static cl_int fake_sampler_new(
	struct backend *be, const struct be_sampler_state *how, struct be_sampler **ret)
{
	*ret = (struct be_sampler *)&thing;
	return CL_SUCCESS;
}

static void fake_sampler_free(struct be_sampler *s)
{
}

static void fake_mem_free(struct be_mem *m)
{
	free(m);
}

static void fake_mem_read(struct be_mem *m, size_t offset, void *to, size_t n)
{
	memcpy(to, m->at + offset, n);
}

static void fake_mem_write(struct be_mem *m, size_t offset, const void *from, size_t n)
{
	memcpy(m->at + offset, from, n);
}

static cl_int fake_program(struct backend *be, const void *bytes, size_t n, struct be_program **ret)
{
	*ret = (struct be_program *)&thing;
	return CL_SUCCESS;
}

static cl_int fake_source(struct backend *be, const char *text, size_t n, struct be_program **ret)
{
	return fake_program(be, text, n, ret);
}

static void fake_program_free(struct be_program *p)
{
}

void fake_hold_compilers(bool hold)
{
	atomic_store(&holds_compilers, hold);
}

static void wait_for_compiler(void)
{
	while (atomic_load(&holds_compilers))
		usleep(500);
}

static cl_int fake_build(struct backend *be, struct be_program **p, const struct be_build *how)
{
	wait_for_compiler();
	*p = (struct be_program *)&thing;
	return CL_SUCCESS;
}

static int fake_result(struct be_program *p, struct buf *body)
{
	return p_put_build_result_item(
		body, &(struct p_build_result){ .binary_type = CL_PROGRAM_BINARY_TYPE_EXECUTABLE });
}

static cl_int fake_binary(struct backend *be, const struct be_origin *from, struct buf *binary)
{
	wait_for_compiler();
	buf_put(binary, "native", 6);
	return CL_SUCCESS;
}

static void fake_lacks(struct backend *be, const struct be_origin *from, struct buf *name)
{
}

static cl_int fake_kernel_new(
	struct be_program *p, const char *name, struct be_kernel **ret, uint32_t *ret_args)
{
	bool images = !strcmp(name, "images");

	if (!images && strcmp(name, "k") != 0)
		return CL_INVALID_KERNEL_NAME;
	*ret = (struct be_kernel *)(images ? &image_kernel : &thing);
	*ret_args = images ? 2 : 3;
	return CL_SUCCESS;
}

static int fake_arg_kind(struct be_kernel *k, uint32_t index)
{
	static const int kinds[] = { PROTO_ARG_BUFFER, PROTO_ARG_BYTES, PROTO_ARG_LOCAL };
	static const int of_images[] = { PROTO_ARG_IMAGE, PROTO_ARG_SAMPLER };

	return (char *)k == &image_kernel ? of_images[index] : kinds[index];
}

static void fake_kernel_free(struct be_kernel *k)
{
}

static cl_int fake_set(struct be_kernel *k, uint32_t index, const void *bytes, size_t n)
{
	return bytes && n != 4 ? CL_INVALID_ARG_SIZE : CL_SUCCESS;
}

static cl_int fake_fits(struct backend *be, struct be_kernel *k)
{
	return CL_SUCCESS;
}

static cl_int fake_set_mem(struct be_kernel *k, uint32_t index, struct be_mem *m)
{
	return CL_SUCCESS;
}

static cl_int fake_set_sampler(struct be_kernel *k, uint32_t index, struct be_sampler *s)
{
	return CL_SUCCESS;
}

static cl_int fake_set_svm(struct be_kernel *k, uint32_t index, struct be_mem *m, size_t offset)
{
	return CL_SUCCESS;
}

static cl_int fake_command(struct be_ticket **ret)
{
	*ret = (struct be_ticket *)&thing;
	return CL_SUCCESS;
}

static cl_int fake_launch(struct be_queue *q, const struct be_launch *l, struct be_ticket **ret)
{
	wait_for_compiler();
	return fake_command(ret);
}

static cl_int fake_copy(struct be_queue *q, struct be_mem *from, size_t from_offset,
	struct be_mem *to, size_t to_offset, size_t n, struct be_ticket **ret)
{
	memmove(to->at + to_offset, from->at + from_offset, n);
	return fake_command(ret);
}

static cl_int fake_copy_rect(struct be_queue *q, struct be_mem *from,
	const struct be_rect *from_rect, struct be_mem *to, const struct be_rect *to_rect,
	const size_t region[3], struct be_ticket **ret)
{
	return fake_command(ret);
}

static cl_int fake_fill(struct be_queue *q, struct be_mem *m, const void *pattern, size_t pattern_n,
	size_t offset, size_t n, struct be_ticket **ret)
{
	memset(m->at + offset, *(const uint8_t *)pattern, n);
	return fake_command(ret);
}

static cl_int fake_read(struct be_queue *q, struct be_mem *m, size_t offset, void *to, size_t n,
	struct be_ticket **ret)
{
	fake_mem_read(m, offset, to, n);
	return fake_command(ret);
}

static cl_int fake_write(struct be_queue *q, struct be_mem *m, size_t offset, const void *from,
	size_t n, struct be_ticket **ret)
{
	fake_mem_write(m, offset, from, n);
	return fake_command(ret);
}

static cl_int fake_mark(struct be_queue *q, struct be_ticket **ret)
{
	return fake_command(ret);
}

static cl_int fake_image_fill(struct be_queue *q, struct be_mem *m, const void *color,
	const size_t origin[3], const size_t region[3], struct be_ticket **ret)
{
	memcpy(m->at, color, 1);
	return fake_command(ret);
}

static cl_int fake_watch(struct backend *be, struct be_ticket *t, void *token)
{
	struct fake *f = (struct fake *)be;

	if (f->holds && f->n_held == ARRAY_SIZE(f->held))
		return CL_OUT_OF_RESOURCES;
	if (f->holds)
		f->held[f->n_held++] = token;
	else
		f->config.complete(f->config.arg, token);
	return CL_SUCCESS;
}

void fake_hold(struct backend *be)
{
	((struct fake *)be)->holds = true;
}

void fake_release(struct backend *be)
{
	struct fake *f = (struct fake *)be;

	for (size_t i = 0; i < f->n_held; i++)
		f->config.complete(f->config.arg, f->held[i]);
	f->n_held = 0;
	f->holds = false;
}

static cl_int fake_status(struct be_ticket *t, struct be_times *ret)
{
	if (ret)
		*ret = (struct be_times){ 1, 2, 3, 4 };
	return CL_COMPLETE;
}

static void fake_ticket_free(struct be_ticket *t)
{
}

const struct backend_ops backend_fake = {
	.name = "fake",
	.open = fake_open,
	.close = fake_close,
	.warm_up = fake_warm_up,
	.device = fake_device,
	.info = fake_info,
	.svm_base = fake_svm_base,
	.part_new = fake_part_new,
	.queue_new = fake_queue_new,
	.queue_free = fake_queue_any,
	.queue_flush = fake_queue_any,
	.mem_new = fake_mem_new,
	.mem_sub = fake_mem_sub,
	.image_new = fake_image_new,
	.mem_free = fake_mem_free,
	.mem_read = fake_mem_read,
	.mem_write = fake_mem_write,
	.sampler_new = fake_sampler_new,
	.sampler_free = fake_sampler_free,
	.program_source = fake_source,
	.program_binary = fake_program,
	.program_free = fake_program_free,
	.build = fake_build,
	.build_result = fake_result,
	.program_get_binary = fake_binary,
	.program_lacks = fake_lacks,
	.kernel_new = fake_kernel_new,
	.kernel_arg_kind = fake_arg_kind,
	.kernel_free = fake_kernel_free,
	.kernel_set = fake_set,
	.kernel_set_mem = fake_set_mem,
	.kernel_set_sampler = fake_set_sampler,
	.kernel_set_svm = fake_set_svm,
	.kernel_fits = fake_fits,
	.launch = fake_launch,
	.copy = fake_copy,
	.copy_rect = fake_copy_rect,
	.fill = fake_fill,
	.read = fake_read,
	.write = fake_write,
	.mark = fake_mark,
	.image_fill = fake_image_fill,
	.ticket_watch = fake_watch,
	.ticket_status = fake_status,
	.ticket_free = fake_ticket_free,
};
