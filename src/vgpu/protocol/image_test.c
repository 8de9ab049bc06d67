// SPDX-License-Identifier: Apache-2.0
#include "vgpu/protocol/image.h"

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include "base/test.h"

static void formats_have_sizes(void)
{
	CHECK_EQ(image_pixel_bytes(CL_RGBA, CL_FLOAT), 16);
	CHECK_EQ(image_pixel_bytes(CL_RGBA, CL_UNORM_INT8), 4);
	CHECK_EQ(image_pixel_bytes(CL_RG, CL_HALF_FLOAT), 4);
	CHECK_EQ(image_pixel_bytes(CL_R, CL_SIGNED_INT8), 1);
	CHECK_EQ(image_pixel_bytes(CL_BGRA, CL_UNORM_INT8), 4);
	CHECK_EQ(image_pixel_bytes(CL_RGB, CL_UNORM_SHORT_565), 2);
	CHECK_EQ(image_pixel_bytes(CL_RGBx, CL_UNORM_INT_101010), 4);
	CHECK_EQ(image_pixel_bytes(CL_LUMINANCE, CL_FLOAT), 4);
}

static void what_does_not_go_together_has_none(void)
{
	CHECK_EQ(image_pixel_bytes(CL_RGBA, CL_UNORM_SHORT_565), 0);
	CHECK_EQ(image_pixel_bytes(CL_RGB, CL_FLOAT), 0);
	CHECK_EQ(image_pixel_bytes(CL_BGRA, CL_FLOAT), 0);
	CHECK_EQ(image_pixel_bytes(CL_INTENSITY, CL_SIGNED_INT8), 0);
	CHECK_EQ(image_pixel_bytes(0, CL_FLOAT), 0);
	CHECK_EQ(image_pixel_bytes(CL_RGBA, 0), 0);
}

static void each_type_has_its_layout(void)
{
	struct image_shape s = { CL_MEM_OBJECT_IMAGE3D, CL_RGBA, CL_UNSIGNED_INT8, { 5, 3, 2 }, 0 };
	struct image_layout l;

	CHECK(image_layout(&s, &l));
	CHECK(l.pixel == 4 && l.row == 20 && l.slice == 60 && l.bytes == 120);
	s = (struct image_shape){ CL_MEM_OBJECT_IMAGE1D_ARRAY, CL_R, CL_FLOAT, { 5, 0, 0 }, 7 };
	CHECK(image_layout(&s, &l));
	CHECK(l.count[1] == 7 && l.count[2] == 1 && l.bytes == 140);
	s = (struct image_shape){ CL_MEM_OBJECT_IMAGE2D_ARRAY, CL_R, CL_FLOAT, { 5, 3, 0 }, 7 };
	CHECK(image_layout(&s, &l));
	CHECK(l.count[1] == 3 && l.count[2] == 7 && l.slice == 60 && l.bytes == 420);
}

static void wrong_shapes_have_none(void)
{
	struct image_shape s = { CL_MEM_OBJECT_IMAGE2D, CL_R, CL_FLOAT, { 5, 3, 0 }, 0 };
	struct image_layout l;

	CHECK(image_layout(&s, &l));
	s.extent[2] = 1;
	CHECK(!image_layout(&s, &l));
	s.extent[2] = 0;
	s.array_size = 1;
	CHECK(!image_layout(&s, &l));
	s.array_size = 0;
	s.extent[1] = 0;
	CHECK(!image_layout(&s, &l));
	s.extent[1] = UINT64_MAX / 16;
	CHECK(!image_layout(&s, &l)); // 20 bytes a row
	s.extent[1] = UINT64_MAX / 20;
	CHECK(image_layout(&s, &l));
	s.type = CL_MEM_OBJECT_BUFFER;
	CHECK(!image_layout(&s, &l));
}

static void boxes_lie_inside_or_do_not(void)
{
	struct image_shape s = { CL_MEM_OBJECT_IMAGE2D, CL_R, CL_FLOAT, { 5, 3, 0 }, 0 };
	struct image_layout l;

	CHECK(image_layout(&s, &l));
	CHECK(image_holds(&l, (uint64_t[]){ 0, 0, 0 }, (uint64_t[]){ 5, 3, 1 }));
	CHECK(image_holds(&l, (uint64_t[]){ 4, 2, 0 }, (uint64_t[]){ 1, 1, 1 }));
	CHECK(!image_holds(&l, (uint64_t[]){ 4, 2, 0 }, (uint64_t[]){ 2, 1, 1 }));
	CHECK(!image_holds(&l, (uint64_t[]){ 0, 0, 1 }, (uint64_t[]){ 1, 1, 1 }));
	CHECK(!image_holds(&l, (uint64_t[]){ 0, 0, 0 }, (uint64_t[]){ 1, 0, 1 }));
	CHECK(!image_holds(&l, (uint64_t[]){ UINT64_MAX, 0, 0 }, (uint64_t[]){ 2, 1, 1 }));
}

int main(void)
{
	RUN(formats_have_sizes);
	RUN(what_does_not_go_together_has_none);
	RUN(each_type_has_its_layout);
	RUN(wrong_shapes_have_none);
	RUN(boxes_lie_inside_or_do_not);
}
