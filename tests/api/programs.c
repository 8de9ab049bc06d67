// SPDX-License-Identifier: Apache-2.0
// OpenCL 1.2, section 5.6: programs from source and binary, options, logs, compile and link.
#include "api.h"

#include <unistd.h>

static struct cl c;
static const char good[] = "#ifndef V\n#define V 1\n#endif\n"
			   "kernel void set(global int *a) { a[get_global_id(0)] = V; }\n"
			   "kernel void add(global int *a, int b) { a[get_global_id(0)] += b; }\n";

static int first_value(cl_program p)
{
	cl_kernel k = cl_kernel_of(p, "set");
	cl_mem m = cl_buffer(&c, CL_MEM_READ_WRITE, 4, NULL);
	size_t one = 1;
	int v = 0;

	OK(clSetKernelArg(k, 0, sizeof m, &m));
	OK(clEnqueueNDRangeKernel(c.queue, k, 1, NULL, &one, NULL, 0, NULL, NULL));
	OK(clEnqueueReadBuffer(c.queue, m, CL_TRUE, 0, 4, &v, 0, NULL, NULL));
	OK(clReleaseMemObject(m));
	OK(clReleaseKernel(k));
	return v;
}

static void options_reach_the_compiler(void)
{
	cl_program p = cl_source(&c, good);
	char text[256];

	OK(clBuildProgram(p, 0, NULL, "-DV=42", NULL, NULL));
	CHECK_EQ(first_value(p), 42);
	OK(clGetProgramBuildInfo(p, c.device, CL_PROGRAM_BUILD_OPTIONS, sizeof text, text, NULL));
	CHECK(strstr(text, "-DV=42"));
	OK(clBuildProgram(p, 1, &c.device, "-DV=7", NULL, NULL));
	CHECK_EQ(first_value(p), 7);
	OK(clReleaseProgram(p));
}

static void the_source_comes_back(void)
{
	const char *parts[] = { "kernel void a() {}\n", "kernel void b() {}xxx" };
	size_t lengths[] = { 0, 18 };
	char text[256];
	cl_int err;
	cl_program p = clCreateProgramWithSource(c.context, 2, parts, lengths, &err);

	OK(err);
	OK(clGetProgramInfo(p, CL_PROGRAM_SOURCE, sizeof text, text, NULL));
	CHECK_STR(text, "kernel void a() {}\nkernel void b() {}");
	CHECK(!clCreateKernel(p, "a", &err) && err == CL_INVALID_PROGRAM_EXECUTABLE);
	OK(clReleaseProgram(p));
}

static void a_broken_program_has_a_log(void)
{
	cl_program p = cl_source(&c, "kernel void a(global int *x) { *x = nothing_like_it; }");
	static char log[65536];
	cl_build_status status;
	cl_int err;

	CHECK_EQ(clBuildProgram(p, 0, NULL, "", NULL, NULL), CL_BUILD_PROGRAM_FAILURE);
	OK(clGetProgramBuildInfo(p, c.device, CL_PROGRAM_BUILD_LOG, sizeof log, log, NULL));
	CHECK(strstr(log, "nothing_like_it"));
	OK(clGetProgramBuildInfo(
		p, c.device, CL_PROGRAM_BUILD_STATUS, sizeof status, &status, NULL));
	CHECK_EQ(status, CL_BUILD_ERROR);
	CHECK(!clCreateKernel(p, "a", &err) && err == CL_INVALID_PROGRAM_EXECUTABLE);
	OK(clReleaseProgram(p));
}

static void the_kernels_are_listed(void)
{
	cl_program p = cl_build(&c, good);
	char names[256];
	size_t n;
	cl_uint got;
	cl_kernel kernels[2];

	OK(clGetProgramInfo(p, CL_PROGRAM_NUM_KERNELS, sizeof n, &n, NULL));
	CHECK_EQ(n, 2);
	OK(clGetProgramInfo(p, CL_PROGRAM_KERNEL_NAMES, sizeof names, names, NULL));
	CHECK(!strcmp(names, "set;add") || !strcmp(names, "add;set"));
	OK(clCreateKernelsInProgram(p, 2, kernels, &got));
	CHECK_EQ(got, 2);
	CHECK_EQ(clBuildProgram(p, 0, NULL, "", NULL, NULL), CL_INVALID_OPERATION);
	OK(clReleaseKernel(kernels[0]));
	OK(clReleaseKernel(kernels[1]));
	OK(clReleaseProgram(p));
}

static void a_binary_is_a_program(void)
{
	cl_program p = cl_source(&c, good);
	size_t n = 0;
	cl_int err, status;

	OK(clBuildProgram(p, 0, NULL, "-DV=5", NULL, NULL));
	OK(clGetProgramInfo(p, CL_PROGRAM_BINARY_SIZES, sizeof n, &n, NULL));
	CHECK(n > 0);
	unsigned char *bytes = malloc(n);
	OK(clGetProgramInfo(p, CL_PROGRAM_BINARIES, sizeof bytes, &bytes, NULL));
	OK(clReleaseProgram(p));
	const unsigned char *binary = bytes;
	p = clCreateProgramWithBinary(c.context, 1, &c.device, &n, &binary, &status, &err);
	OK(err);
	OK(status);
	OK(clBuildProgram(p, 0, NULL, "", NULL, NULL));
	CHECK_EQ(first_value(p), 5);
	OK(clReleaseProgram(p));
	const unsigned char *junk = (const unsigned char *)"no binary at all";
	n = 16;
	p = clCreateProgramWithBinary(c.context, 1, &c.device, &n, &junk, &status, &err);
	// Some look at it only when it is built.
	CHECK(p ? clBuildProgram(p, 0, NULL, "", NULL, NULL) < 0 : err == CL_INVALID_BINARY);
	if (p)
		OK(clReleaseProgram(p));
	free(bytes);
}

static void parts_are_compiled_and_linked(void)
{
	cl_program header = cl_source(&c, "int answer(void);\n");
	cl_program a = cl_source(&c, "#include \"answer.h\"\n"
				     "kernel void set(global int *x) { *x = answer(); }\n");
	cl_program b = cl_source(&c, "int answer(void) { return 17; }\n");
	const char *name = "answer.h";
	cl_int err;

	OK(clCompileProgram(a, 0, NULL, "", 1, &header, &name, NULL, NULL));
	OK(clCompileProgram(b, 0, NULL, "", 0, NULL, NULL, NULL, NULL));
	cl_program both[] = { a, b };
	cl_program p = clLinkProgram(c.context, 0, NULL, "", 2, both, NULL, NULL, &err);
	OK(err);
	CHECK_EQ(first_value(p), 17);
	OK(clReleaseProgram(p));
	OK(clReleaseProgram(a));
	OK(clReleaseProgram(b));
	OK(clReleaseProgram(header));
}

static void two_programs_are_each_others_headers(void)
{
	cl_program a = cl_source(&c, "#ifndef SIDE\n#define SIDE\n#include \"b.h\"\n"
				     "kernel void set(global int *x) { *x = VALUE; }\n#endif\n");
	cl_program b = cl_source(&c, "#ifndef SIDE\n#define SIDE\n#include \"a.h\"\n#endif\n"
				     "#define VALUE 31\n");
	const char *name_of_a = "a.h", *name_of_b = "b.h";
	cl_int err;

	OK(clCompileProgram(b, 0, NULL, "", 1, &a, &name_of_a, NULL, NULL));
	OK(clCompileProgram(a, 0, NULL, "", 1, &b, &name_of_b, NULL, NULL));
	cl_program p = clLinkProgram(c.context, 0, NULL, "", 1, &a, NULL, NULL, &err);
	OK(err);
	CHECK_EQ(first_value(p), 31);
	OK(clReleaseProgram(p));
	OK(clReleaseProgram(a));
	OK(clReleaseProgram(b));
}

static void an_undefined_function_is_named(void)
{
	cl_program p = cl_source(&c, "int nowhere(int);\n"
				     "kernel void set(global int *x) { *x = nowhere(1); }\n"
				     "kernel void fine(global int *x) { *x = 1; }\n");
	static char log[65536];
	cl_int err;

	CHECK_EQ(clBuildProgram(p, 0, NULL, "", NULL, NULL), CL_BUILD_PROGRAM_FAILURE);
	OK(clGetProgramBuildInfo(p, c.device, CL_PROGRAM_BUILD_LOG, sizeof log, log, NULL));
	CHECK(strstr(log, "nowhere"));
	CHECK(!clCreateKernel(p, "fine", &err) && err == CL_INVALID_PROGRAM_EXECUTABLE);
	OK(clCompileProgram(p, 0, NULL, "", 0, NULL, NULL, NULL, NULL));
	CHECK(!clLinkProgram(c.context, 0, NULL, "", 1, &p, NULL, NULL, &err) ||
		err == CL_LINK_PROGRAM_FAILURE);
	CHECK_EQ(err, CL_LINK_PROGRAM_FAILURE);
	OK(clReleaseProgram(p));
}

static cl_program_binary_type binary_type(cl_program p)
{
	cl_program_binary_type type = 99;

	OK(clGetProgramBuildInfo(p, c.device, CL_PROGRAM_BINARY_TYPE, sizeof type, &type, NULL));
	return type;
}

// What was compiled before, as its binary, tells what it is and needs no build to be linked.
static void a_compiled_binary_is_linked(void)
{
	const char *text = "__kernel void set(__global int *a) { a[0] = 23; }";
	cl_int status, err;
	size_t n;
	cl_program part = clCreateProgramWithSource(c.context, 1, &text, NULL, &err);

	OK(err);
	OK(clCompileProgram(part, 1, &c.device, "", 0, NULL, NULL, NULL, NULL));
	OK(clGetProgramInfo(part, CL_PROGRAM_BINARY_SIZES, sizeof n, &n, NULL));
	unsigned char *bytes = malloc(n);
	const unsigned char *binary = bytes;
	OK(clGetProgramInfo(part, CL_PROGRAM_BINARIES, sizeof bytes, &bytes, NULL));
	cl_program loaded =
		clCreateProgramWithBinary(c.context, 1, &c.device, &n, &binary, &status, &err);
	OK(err);
	free(bytes);
	CHECK_EQ(binary_type(loaded), CL_PROGRAM_BINARY_TYPE_COMPILED_OBJECT);
	cl_program p = clLinkProgram(c.context, 0, NULL, "", 1, &loaded, NULL, NULL, &err);
	OK(err);
	CHECK_EQ(first_value(p), 23);
	OK(clReleaseProgram(p));
	OK(clReleaseProgram(loaded));
	OK(clReleaseProgram(part));
}

static void put_file(const char *folder, const char *name, const char *text)
{
	char path[64];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *f = fopen(path, "w");
	CHECK(f);
	fputs(text, f);
	CHECK_EQ(fclose(f), 0);
}

static void write_header(const char *folder, int value)
{
	char text[64];

	snprintf(text, sizeof text, "#define VALUE %d\n", value);
	put_file(folder, "value.h", text);
}

static int built_with_folder(cl_program p, const char *folder)
{
	char options[64];

	snprintf(options, sizeof options, "-I %s", folder);
	OK(clBuildProgram(p, 0, NULL, options, NULL, NULL));
	return first_value(p);
}

// Every build finds the files as they are then.
static void headers_are_read_by_each_build(void)
{
	char one[] = "/tmp/api-one-XXXXXX", two[] = "/tmp/api-two-XXXXXX", path[64];
	const char *folders[] = { one, two };
	cl_program p = cl_source(&c, "#include \"value.h\"\n"
				     "kernel void set(global int *x) { *x = VALUE; }\n");

	for (int i = 0; i < 2; i++)
		CHECK(mkdtemp((char *)folders[i]));
	write_header(one, 12);
	write_header(two, 42);
	CHECK_EQ(built_with_folder(p, one), 12);
	CHECK_EQ(built_with_folder(p, two), 42);
	write_header(one, 13);
	CHECK_EQ(built_with_folder(p, one), 13);
	OK(clReleaseProgram(p));
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "%s/value.h", folders[i]);
		CHECK_EQ(unlink(path), 0);
		CHECK_EQ(rmdir(folders[i]), 0);
	}
}

// Two headers that both need a third, and one that is not meant any more.
static void headers_are_there_once(void)
{
	char folder[] = "/tmp/api-once-XXXXXX", path[64];
	const char *const names[] = { "pair.h", "one.h", "two.h", "old.h" };
	cl_program p =
		cl_source(&c, "/*\n#include \"old.h\"\n*/\n#include \"one.h\"\n#include \"two.h\"\n"
			      "kernel void set(global int *x)"
			      "{ struct pair p = { ONE, TWO }; *x = p.a + p.b; }\n");

	CHECK(mkdtemp(folder));
	put_file(folder, "pair.h", "#pragma once\nstruct pair { int a, b; };\n");
	put_file(folder, "one.h", "#pragma once\n#include \"pair.h\"\n#define ONE 1\n");
	put_file(folder, "two.h", "#pragma once\n#include \"pair.h\"\n#define TWO 20\n");
	put_file(folder, "old.h", "/* an old one */ #error it is meant after all\n");
	CHECK_EQ(built_with_folder(p, folder), 21);
	OK(clReleaseProgram(p));
	for (int i = 0; i < 4; i++) {
		snprintf(path, sizeof path, "%s/%s", folder, names[i]);
		CHECK_EQ(unlink(path), 0);
	}
	CHECK_EQ(rmdir(folder), 0);
}

static void kernels_have_long_names(void)
{
	char name[2049] = "", text[2200], told[2200];

	memset(name, 'k', sizeof name - 1);
	snprintf(text, sizeof text, "kernel void %s(global int *x) { *x = 1; }", name);
	cl_program p = cl_build(&c, text);
	cl_kernel k = cl_kernel_of(p, name);
	OK(clGetKernelInfo(k, CL_KERNEL_FUNCTION_NAME, sizeof told, told, NULL));
	CHECK_STR(told, name);
	OK(clReleaseKernel(k));
	OK(clReleaseProgram(p));
}

static volatile int built;

static void CL_CALLBACK note_build(cl_program p, void *user_data)
{
	built = *(int *)user_data;
}

static void a_build_calls_back(void)
{
	static int mark = 33;
	cl_program p = cl_source(&c, good);

	OK(clBuildProgram(p, 0, NULL, "", note_build, &mark));
	for (int i = 0; i < 2000 && !built; i++)
		usleep(5000);
	CHECK_EQ(built, 33);
	CHECK_EQ(first_value(p), 1);
	OK(clReleaseProgram(p));
}

static void nothing_is_a_program(void)
{
	const char *empty = "";
	cl_int err;
	cl_program p = clCreateProgramWithSource(c.context, 1, &empty, NULL, &err);
	size_t n = 1;

	OK(err);
	OK(clBuildProgram(p, 0, NULL, "", NULL, NULL));
	OK(clGetProgramInfo(p, CL_PROGRAM_NUM_KERNELS, sizeof n, &n, NULL));
	CHECK_EQ(n, 0);
	OK(clReleaseProgram(p));
}

int main(void)
{
	c = cl_setup();
	RUN(options_reach_the_compiler);
	RUN(the_source_comes_back);
	RUN(a_broken_program_has_a_log);
	RUN(the_kernels_are_listed);
	RUN(a_binary_is_a_program);
	RUN(parts_are_compiled_and_linked);
	RUN(two_programs_are_each_others_headers);
	RUN(an_undefined_function_is_named);
	RUN(a_compiled_binary_is_linked);
	RUN(headers_are_read_by_each_build);
	RUN(headers_are_there_once);
	RUN(kernels_have_long_names);
	RUN(a_build_calls_back);
	RUN(nothing_is_a_program);
	cl_teardown(&c);
}
