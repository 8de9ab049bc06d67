// SPDX-License-Identifier: Apache-2.0
// That the driver really works on an image's bytes where they lie: a kernel's pixels are seen through
// another mapping of the same memory, without a call in between, and the other way round.
#include "vgpu/backend/backend.h"
#include "vgpu/protocol/protocol.h"

#include "base/test.h"

#include <semaphore.h>
#include <sys/mman.h>
#include <unistd.h>

#define BYTES  (4u << 20)
#define OFFSET (1u << 20)

static struct backend *be;
static uint8_t *other; // mapping
static sem_t over;

static void complete(void *arg, void *token)
{
	sem_post(&over);
}

static void wait_for(struct be_queue *q, struct be_ticket *t)
{
	CHECK_EQ(be->ops->ticket_watch(be, t, NULL), CL_SUCCESS);
	be->ops->queue_flush(q);
	CHECK_EQ(sem_wait(&over), 0);
	CHECK_EQ(be->ops->ticket_status(t, NULL), CL_COMPLETE);
	be->ops->ticket_free(t);
}

static void begin(void)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	int fd = memfd_create("framebuffer", MFD_CLOEXEC);
	struct be_config config = { .memory_bytes = BYTES, .complete = complete };

	CHECK(fd >= 0 && ftruncate(fd, BYTES) == 0);
	config.base = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	other = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(config.base != MAP_FAILED && other != MAP_FAILED);
	CHECK_EQ(sem_init(&over, 0, 0), 0);
	CHECK_EQ(backend_cl.open(&config, &be, &e), 0);
}

struct subject {
	const char *text;
	uint32_t type;
	uint64_t extent[3], array_size;
	uint32_t dims;
};

static const struct subject subjects[] = {
	{ "image1d_t", CL_MEM_OBJECT_IMAGE1D, { 61, 0, 0 }, 0, 1 },
	{ "image1d_buffer_t", CL_MEM_OBJECT_IMAGE1D_BUFFER, { 61, 0, 0 }, 0, 1 },
	{ "image1d_array_t", CL_MEM_OBJECT_IMAGE1D_ARRAY, { 61, 0, 0 }, 5, 2 },
	{ "image2d_t", CL_MEM_OBJECT_IMAGE2D, { 61, 37, 0 }, 0, 2 },
	{ "image2d_array_t", CL_MEM_OBJECT_IMAGE2D_ARRAY, { 61, 37, 0 }, 5, 3 },
};

static const char template[] =
	"kernel void advance(read_only %s from, write_only %s to, sampler_t s)\n"
	"{ %s p = %s; %s; write_imageui(to, p, v * 3 + (uint4)(get_global_id(0), 0, 0, 0)); }";

static struct be_kernel *kernel_for(const struct subject *s, struct be_program **ret_program)
{
	static const char *const types[] = { "", "int", "int2", "int4" };
	static const char *const places[] = { "", "get_global_id(0)",
		"(int2)(get_global_id(0), get_global_id(1))",
		"(int4)(get_global_id(0), get_global_id(1), get_global_id(2), 0)" };
	bool plain = s->type == CL_MEM_OBJECT_IMAGE1D_BUFFER; // read without a sampler
	struct be_build how = { .kind = BE_BUILD, .options = "" };
	struct be_kernel *k = NULL;
	char text[1024];
	uint32_t args;

	snprintf(text, sizeof text, template, s->text, s->text, types[s->dims], places[s->dims],
		plain ? "uint4 v = read_imageui(from, p)" : "uint4 v = read_imageui(from, s, p)");
	CHECK_EQ(be->ops->program_source(be, text, strlen(text), ret_program), CL_SUCCESS);
	CHECK_EQ(be->ops->build(be, ret_program, &how), CL_SUCCESS);
	CHECK_EQ(be->ops->kernel_new(*ret_program, "advance", &k, &args), CL_SUCCESS);
	CHECK_EQ(args, 3);
	CHECK_EQ(be->ops->kernel_arg_kind(k, 0), PROTO_ARG_IMAGE);
	CHECK_EQ(be->ops->kernel_arg_kind(k, 2), PROTO_ARG_SAMPLER);
	return k;
}

static void check_in_place(const struct subject *s, struct be_queue *q, struct be_sampler *sampler)
{
	struct be_image how = { .flags = CL_MEM_READ_WRITE,
		.shape = { s->type, CL_R, CL_UNSIGNED_INT32,
			{ s->extent[0], s->extent[1], s->extent[2] }, s->array_size } };
	bool on_buffer = s->type == CL_MEM_OBJECT_IMAGE1D_BUFFER;
	struct be_program *p = NULL;
	struct be_kernel *k = kernel_for(s, &p);
	struct be_mem *buffer = NULL, *m = NULL;
	struct be_ticket *t = NULL;
	uint32_t *seen = (uint32_t *)(other + OFFSET);

	CHECK(image_layout(&how.shape, &how.layout));
	if (on_buffer)
		CHECK_EQ(be->ops->mem_new(be, CL_MEM_READ_WRITE, OFFSET, how.layout.bytes, &buffer),
			CL_SUCCESS);
	CHECK_EQ(be->ops->image_new(be, &how, OFFSET, buffer, &m), CL_SUCCESS);
	struct be_launch launch = { .kernel = k,
		.dims = s->dims,
		.global = { how.layout.count[0], how.layout.count[1], how.layout.count[2] } };
	CHECK_EQ(be->ops->kernel_set_mem(k, 0, m), CL_SUCCESS);
	CHECK_EQ(be->ops->kernel_set_mem(k, 1, m), CL_SUCCESS);
	CHECK_EQ(be->ops->kernel_set_sampler(k, 2, sampler), CL_SUCCESS);
	for (uint32_t round = 0; round < 2; round++) {
		uint64_t n = how.layout.bytes / 4;
		for (uint64_t i = 0; i <= n; i++)
			seen[i] = (uint32_t)(i * 7 + round);
		CHECK_EQ(be->ops->launch(q, &launch, &t), CL_SUCCESS);
		wait_for(q, t);
		for (uint64_t i = 0; i < n; i++)
			CHECK_EQ(seen[i], (i * 7 + round) * 3 + i % s->extent[0]);
		CHECK_EQ(seen[n], n * 7 + round);
	}
	be->ops->kernel_free(k);
	be->ops->program_free(p);
	be->ops->mem_free(m);
	be->ops->mem_free(buffer);
}

static void kernels_work_on_the_bytes_in_place(void)
{
	struct be_sampler_state nearest = { false, CL_ADDRESS_CLAMP, CL_FILTER_NEAREST };
	struct be_sampler *sampler = NULL;
	struct be_queue *q = NULL;

	CHECK_EQ(be->ops->queue_new(be, NULL, false, &q), CL_SUCCESS);
	CHECK_EQ(be->ops->sampler_new(be, &nearest, &sampler), CL_SUCCESS);
	for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++)
		check_in_place(&subjects[i], q, sampler);
	be->ops->sampler_free(sampler);
	be->ops->queue_free(q);
}

static void check_fill(struct be_part *part)
{
	struct be_image how = { .flags = CL_MEM_READ_WRITE,
		.shape = { CL_MEM_OBJECT_IMAGE3D, CL_RGBA, CL_UNSIGNED_INT8, { 5, 4, 3 }, 0 } };
	const uint32_t color[4] = { 1, 2, 3, 4 };
	const size_t origin[] = { 1, 2, 1 }, region[] = { 2, 1, 2 };
	uint32_t *seen = (uint32_t *)(other + OFFSET);
	struct be_ticket *t = NULL;
	struct be_queue *q = NULL;
	struct be_mem *m = NULL;

	CHECK(image_layout(&how.shape, &how.layout));
	CHECK_EQ(be->ops->queue_new(be, part, false, &q), CL_SUCCESS);
	CHECK_EQ(be->ops->image_new(be, &how, OFFSET, NULL, &m), CL_SUCCESS);
	memset(seen, 0, how.layout.bytes);
	CHECK_EQ(be->ops->image_fill(q, m, color, origin, region, &t), CL_SUCCESS);
	wait_for(q, t);
	for (size_t i = 0; i < how.layout.bytes / 4; i++) {
		size_t x = i % 5, y = i / 5 % 4, z = i / 20;
		bool inside = x >= 1 && x < 3 && y == 2 && z >= 1;
		CHECK_EQ(seen[i], inside ? 0x04030201 : 0);
	}
	be->ops->mem_free(m);
	be->ops->queue_free(q);
}

static void a_fill_is_in_place(void)
{
	const struct be_partition one = {
		.kind = CL_DEVICE_PARTITION_EQUALLY, .n = 1, .units = { 1 }
	};
	struct be_part *part = NULL;

	check_fill(NULL);
	CHECK_EQ(be->ops->part_new(be, NULL, &one, &part), CL_SUCCESS);
	check_fill(part); // PoCL 3.1 aborts in its own
}

static void what_the_driver_refuses_is_told(void)
{
	struct be_image how = { .flags = CL_MEM_READ_WRITE,
		.shape = { CL_MEM_OBJECT_IMAGE2D, CL_RGB, CL_UNORM_SHORT_565, { 4, 4, 0 }, 0 } };
	struct be_mem *m = NULL;

	CHECK(image_layout(&how.shape, &how.layout));
	CHECK(be->ops->image_new(be, &how, OFFSET, NULL, &m) < 0);
	how.shape =
		(struct image_shape){ CL_MEM_OBJECT_IMAGE2D, CL_R, CL_FLOAT, { 1 << 20, 1, 0 }, 0 };
	CHECK(image_layout(&how.shape, &how.layout));
	CHECK(be->ops->image_new(be, &how, OFFSET, NULL, &m) < 0);
}

int main(void)
{
	begin();
	RUN(kernels_work_on_the_bytes_in_place);
	RUN(a_fill_is_in_place);
	RUN(what_the_driver_refuses_is_told);
	be->ops->close(be);
}
