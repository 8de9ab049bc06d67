// SPDX-License-Identifier: Apache-2.0
// Images and samplers of a guest whose vGPU moves under it. Every kernel reads one image through a
// sampler and writes the other, so that a pixel, an argument or a sampler that did not arrive as it was
// shows in all that follows.
#include "vgpu/testing/testhost.h"

#include "base/test.h"

#include <CL/cl.h>
#include <unistd.h>

#define W 61
#define H 37
#define N (W * H)

static const char *program, *tracker;
static const char source[] =
	"kernel void advance(read_only image2d_t from, write_only image2d_t to, sampler_t s, uint "
	"k)\n"
	"{ int2 p = (int2)(get_global_id(0), get_global_id(1));\n"
	"  uint v = read_imageui(from, s, p).x, left = read_imageui(from, s, p - (int2)(1, 0)).x;\n"
	"  write_imageui(to, p, (uint4)(v * 1664525u + left + k, 0, 0, 1)); }\n"
	"kernel void line(write_only image1d_buffer_t to, uint k)\n"
	"{ int p = get_global_id(0); write_imageui(to, p, (uint4)(p * k, 0, 0, 1)); }\n";

enum { CONTEXT = 1, QUEUE, PROGRAM, EVEN, ODD, SAMPLER, KERNEL, BUFFER, LINE, LINE_KERNEL, LATER };

struct run {
	struct testhost host;
	struct testclient c;
	uint32_t k;
	uint32_t expect[N]; // of the image that was written last
};

static uint32_t last(const struct run *r)
{
	return r->k % 2 ? ODD : EVEN;
}

static void image(struct run *r, uint32_t id)
{
	SEND(&r->c, image_create, 0, .id = id, .context = CONTEXT, .type = CL_MEM_OBJECT_IMAGE2D,
		.order = CL_R, .data_type = CL_UNSIGNED_INT32, .extent = { { W, H, 0 } });
}

// The left neighbour of the first pixel is the sampler's border (CLAMP: 0) or its edge.
static void sampler(struct run *r, uint32_t addressing)
{
	SEND(&r->c, sampler_create, 0, .id = SAMPLER, .context = CONTEXT, .addressing = addressing,
		.filter = CL_FILTER_NEAREST);
}

static void begin(struct run *r)
{
	testhost_start(&r->host, program, false, tracker);
	*r = (struct run){ .host = r->host, .c = { .fd = r->host.port } };
	for (uint32_t i = 0; i < N; i++)
		r->expect[i] = i * 2654435761u;
	testclient_prepare(&r->c, source);
	image(r, EVEN);
	image(r, ODD);
	sampler(r, CL_ADDRESS_CLAMP_TO_EDGE);
	SEND(&r->c, kernel_create, 0, .id = KERNEL, .program = PROGRAM, .name = TEXT("advance"));
	SEND(&r->c, write, 0, .queue = QUEUE, .buffer = EVEN, .size = sizeof r->expect,
		.bytes = BYTES(r->expect, sizeof r->expect));
}

static struct p_blob put_args(struct buf *b, uint32_t from, uint32_t to, uint32_t k)
{
	struct p_arg items[] = { { 0, PROTO_ARG_IMAGE, from, { 0 } },
		{ 1, PROTO_ARG_IMAGE, to, { 0 } }, { 2, PROTO_ARG_SAMPLER, SAMPLER, { 0 } },
		{ 3, PROTO_ARG_BYTES, 0, BYTES(&k, sizeof k) } };

	buf_reset(b);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(p_put_arg_item(b, &items[i]), 0);
	return BYTES(b->data, b->len);
}

static void expect_step(struct run *r)
{
	for (uint32_t y = 0; y < H; y++)
		for (uint32_t x = W; x-- > 0;) {
			uint32_t *p = &r->expect[y * W + x];
			*p = *p * 1664525u + (x ? p[-1] : *p) + r->k;
		}
}

static void steps(struct run *r, int n)
{
	_cleanup_buf_ struct buf args = { 0 };

	for (int i = 0; i < n; i++) {
		uint32_t from = last(r);
		r->k++;
		SEND(&r->c, launch, 0, .queue = QUEUE, .kernel = KERNEL, .dims = 2,
			.global = { { W, H, 1 } }, .args = put_args(&args, from, last(r), r->k));
		expect_step(r);
	}
	testclient_send(&r->c);
}

static void more_steps(void *arg)
{
	steps(arg, 7);
}

static void move(struct run *r, int rounds)
{
	testhost_move(&r->host, program, tracker, rounds, more_steps, r);
	r->c.fd = r->host.port;
}

static void check(struct run *r)
{
	testclient_expect_bytes(&r->c, QUEUE, last(r), r->expect, sizeof r->expect);
}

static void end(struct run *r)
{
	testhost_stop(&r->host);
	testclient_close(&r->c);
}

static void results_are_those_of_an_unmoved_run(void)
{
	static struct run r;

	begin(&r);
	steps(&r, 20);
	for (int n = 0; n < 4; n++) {
		move(&r, n % 3);
		steps(&r, 11);
		check(&r);
	}
	end(&r);
}

// Behind a user event: a launch whose images and sampler the guest lets go of, a fill, a copy.
static void what_waits_moves_along(void)
{
	static struct run r;
	_cleanup_buf_ struct buf args = { 0 };
	const uint32_t color[] = { 7, 8, 9, 10 };
	uint32_t pixels[N];

	begin(&r);
	steps(&r, 2);
	image(&r, LATER);
	SEND(&r.c, user_event_create, 0, .id = 20, .context = CONTEXT);
	SEND(&r.c, queue_create, 0, .id = 21, .context = CONTEXT);
	SEND(&r.c, launch, 0, .queue = 21, .kernel = KERNEL, .event = 22, .dims = 2,
		.global = { { W, H, 1 } }, .waits = WAITS(20),
		.args = put_args(&args, EVEN, LATER, 1000));
	SEND(&r.c, image_fill, 0, .queue = 21, .image = LATER, .origin = { { 3, 4, 0 } },
		.region = { { 5, 6, 1 } }, .color = BYTES(color, sizeof color));
	SEND(&r.c, copy_rect, 0, .queue = 21, .from = LATER, .to = LATER, .event = 23,
		.from_origin = { { 12, 4, 0 } }, .to_origin = { { 100, 20, 0 } },
		.region = { { 16, 3, 1 } }, .from_row_pitch = W * 4, .from_slice_pitch = N * 4,
		.to_row_pitch = W * 4, .to_slice_pitch = N * 4);
	SEND(&r.c, release, 0, .objects = WAITS(SAMPLER));
	testclient_send(&r.c);
	move(&r, 0);
	move(&r, 0);
	memcpy(pixels, r.expect, sizeof pixels);
	for (uint32_t y = 0; y < H; y++)
		for (uint32_t x = W; x-- > 0;) {
			uint32_t *p = &pixels[y * W + x];
			*p = *p * 1664525u + (x ? p[-1] : *p) + 1000;
		}
	for (uint32_t i = 0; i < 30; i++)
		pixels[(4 + i / 5) * W + 3 + i % 5] = 7;
	for (uint32_t i = 0; i < 12; i++)
		pixels[(20 + i / 4) * W + 25 + i % 4] = 7;
	SEND(&r.c, user_event_set, 0, .event = 20, .status = CL_COMPLETE);
	testclient_send(&r.c);
	CHECK_EQ(testclient_event(&r.c, 23), CL_COMPLETE);
	testclient_expect_bytes(&r.c, QUEUE, LATER, pixels, sizeof pixels);
	check(&r);
	end(&r);
}

// What clEnqueueUnmapMemObject of a mapped region sends: it is cut in the middle, twice.
static void half_an_unmap_moves_along(void)
{
	static struct run r;
	static uint32_t pixels[N];
	const uint32_t rows = H - 2;

	begin(&r);
	steps(&r, 4);
	for (uint32_t i = 0; i < N; i++)
		pixels[i] = ~i;
	uint32_t total = (W - 1) * rows * 4;
	uint32_t write = SEND(&r.c, write_rect, 0, .queue = QUEUE, .buffer = EVEN,
		.origin = { { 4, 1, 0 } }, .region = { { (W - 1) * 4, rows, 1 } },
		.row_pitch = W * 4, .slice_pitch = N * 4, .bytes = BYTES(pixels, 1001));
	testclient_send(&r.c);
	move(&r, 0);
	SEND(&r.c, data, 0, .stream = write, .offset = 1001,
		.bytes = BYTES((uint8_t *)pixels + 1001, 3000));
	testclient_send(&r.c);
	move(&r, 0);
	SEND(&r.c, data, 0, .stream = write, .offset = 4001,
		.bytes = BYTES((uint8_t *)pixels + 4001, total - 4001));
	for (uint32_t i = 0; i < (W - 1) * rows; i++)
		r.expect[(1 + i / (W - 1)) * W + 1 + i % (W - 1)] = pixels[i];
	steps(&r, 3);
	check(&r);
	end(&r);
}

// Between rounds numbers change their owners and types, and images come and go.
static void new_ones(void *arg)
{
	struct run *r = arg;

	SEND(&r->c, release, 0, .objects = WAITS(SAMPLER));
	image(r, SAMPLER);
	SEND(&r->c, image_fill, 0, .queue = QUEUE, .image = SAMPLER, .region = { { W, H, 1 } },
		.color = BYTES("0123456789abcdef", 16));
	SEND(&r->c, release, 0, .objects = WAITS(SAMPLER));
	sampler(r, CL_ADDRESS_CLAMP_TO_EDGE);
	steps(r, 3);
}

static void numbers_are_used_again_while_it_moves(void)
{
	static struct run r;

	begin(&r);
	for (int n = 0; n < 2; n++) {
		testhost_move(&r.host, program, tracker, 3, new_ones, &r);
		r.c.fd = r.host.port;
		new_ones(&r);
		check(&r);
	}
	end(&r);
}

static void a_buffers_image_stays_the_buffers(void)
{
	static struct run r;
	_cleanup_buf_ struct buf args = { 0 };
	uint32_t line[256];

	begin(&r);
	SEND(&r.c, buffer_create, 0, .id = BUFFER, .context = CONTEXT, .size = sizeof line);
	SEND(&r.c, image_create, 0, .id = LINE, .context = CONTEXT,
		.type = CL_MEM_OBJECT_IMAGE1D_BUFFER, .order = CL_R, .data_type = CL_UNSIGNED_INT32,
		.extent = { { 256, 0, 0 } }, .buffer = BUFFER);
	SEND(&r.c, kernel_create, 0, .id = LINE_KERNEL, .program = PROGRAM, .name = TEXT("line"));
	for (uint32_t k = 1; k < 4; k++) {
		struct p_arg items[] = { { 0, PROTO_ARG_IMAGE, LINE, { 0 } },
			{ 1, PROTO_ARG_BYTES, 0, BYTES(&k, sizeof k) } };
		buf_reset(&args);
		for (int i = 0; i < 2; i++)
			CHECK_EQ(p_put_arg_item(&args, &items[i]), 0);
		SEND(&r.c, launch, 0, .queue = QUEUE, .kernel = LINE_KERNEL, .dims = 1,
			.global = { { 256, 1, 1 } }, .args = BYTES(args.data, args.len));
		testclient_send(&r.c);
		move(&r, (int)k % 2);
		for (uint32_t i = 0; i < 256; i++)
			line[i] = i * k;
		testclient_expect_bytes(&r.c, QUEUE, BUFFER, line, sizeof line);
		testclient_expect_bytes(&r.c, QUEUE, LINE, line, sizeof line);
	}
	check(&r);
	end(&r);
}

int main(int argc, char **argv)
{
	CHECK(argc == 3);
	program = argv[1];
	tracker = argv[2];
	RUN(results_are_those_of_an_unmoved_run);
	RUN(what_waits_moves_along);
	RUN(half_an_unmap_moves_along);
	RUN(numbers_are_used_again_while_it_moves);
	RUN(a_buffers_image_stays_the_buffers);
}
