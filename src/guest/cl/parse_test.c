// SPDX-License-Identifier: Apache-2.0
// What is made of the host's bytes and of the program's questions.
#include "guest/cl/argtype.h"
#include "guest/cl/info.h"
#include "guest/cl/program.h"
#include "vgpu/protocol/protocol.h"
#include "base/test.h"

static struct p_blob text(const char *s)
{
	return (struct p_blob){ (const uint8_t *)s, strlen(s) };
}

static void put_body(struct buf *b)
{
	struct p_build_result r = { .kernels = 1, .log = text("fine") };
	struct p_kernel_info k = { .name = text("k"), .args = 1, .has_arg_info = 1 };
	struct p_kernel_arg_info a = { .address = CL_KERNEL_ARG_ADDRESS_PRIVATE,
		.type_name = text("float4"),
		.name = text("x") };

	p_put_build_result_item(b, &r);
	p_put_kernel_info_item(b, &k);
	p_put_kernel_arg_info_item(b, &a);
}

static void a_build_is_read(void)
{
	_cleanup_buf_ struct buf body = { 0 };

	put_body(&body);
	struct build *b = build_parse(&body);
	CHECK(b && b->n_kernels == 1);
	CHECK_STR(b->log, "fine");
	const struct kernel_info *k = build_find(b, "k");
	CHECK(k && k->n_args == 1 && k->args[0].size == 16 && !build_find(b, "x"));
	build_unref(b);
}

static void a_cut_or_longer_build_is_refused(void)
{
	_cleanup_buf_ struct buf body = { 0 };

	put_body(&body);
	size_t whole = body.len;
	for (body.len = 0; body.len < whole; body.len++)
		CHECK(!build_parse(&body));
	body.len = whole;
	buf_put_u8(&body, 0);
	CHECK(!build_parse(&body));
}

static void types_have_sizes(void)
{
	CHECK_EQ(argtype_size("float"), 4);
	CHECK_EQ(argtype_size("uchar3"), 4);
	CHECK_EQ(argtype_size("unsigned long"), 8);
	CHECK_EQ(argtype_size("double16"), 128);
	CHECK_EQ(argtype_size("struct pair"), 0);
	CHECK_EQ(argtype_size("float5"), 0);
	CHECK_EQ(argtype_size("integer"), 0);
	CHECK_EQ(argtype_size(""), 0);
}

static void a_value_is_handed_out_whole_or_not(void)
{
	struct {
		char *name;
		cl_uint n;
	} o = { "abc", 7 };
	const struct info_row rows[] = { { 1, INFO_STRING, 0, 0 },
		{ 2, INFO_FIELD, offsetof(__typeof__(o), n), sizeof o.n } };
	char out[8];
	size_t n;

	CHECK_EQ(info_get(rows, 2, &o, 1, sizeof out, out, &n), CL_SUCCESS);
	CHECK_STR(out, "abc");
	CHECK_EQ(n, 4);
	CHECK_EQ(info_get(rows, 2, &o, 1, 3, out, NULL), CL_INVALID_VALUE);
	CHECK_EQ(info_get(rows, 2, &o, 2, 0, NULL, &n), CL_SUCCESS);
	CHECK_EQ(n, 4);
	CHECK_EQ(info_get(rows, 2, &o, 3, sizeof out, out, NULL), CL_INVALID_VALUE);
}

int main(void)
{
	RUN(a_build_is_read);
	RUN(a_cut_or_longer_build_is_refused);
	RUN(types_have_sizes);
	RUN(a_value_is_handed_out_whole_or_not);
}
