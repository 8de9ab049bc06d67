// SPDX-License-Identifier: Apache-2.0
// OpenCL 3.0: what a device must answer beyond 1.2, the calls that are new, and that what is said about
// the kernel language is what the compiler does. The lists are printed: they are the host's own.
#define CL_TARGET_OPENCL_VERSION 300
#include <stdbool.h>
#include <CL/cl_ext.h>
#include "api.h"

#define NAMES_MAX 64

static struct cl c;
static cl_int err;

struct names {
	cl_name_version at[NAMES_MAX];
	size_t n;
};

static struct names names_of(cl_device_info param)
{
	struct names names;
	size_t bytes;

	OK(clGetDeviceInfo(c.device, param, sizeof names.at, names.at, &bytes));
	CHECK_EQ(bytes % sizeof names.at[0], 0);
	names.n = bytes / sizeof names.at[0];
	return names;
}

static bool has_name(const struct names *names, const char *name)
{
	for (size_t i = 0; i < names->n; i++)
		if (!strcmp(names->at[i].name, name))
			return true;
	return false;
}

static cl_ulong number(cl_device_info param)
{
	cl_ulong v = 0;
	size_t n = 0;

	OK(clGetDeviceInfo(c.device, param, sizeof v, &v, &n));
	CHECK(n == 4 || n == 8);
	return v;
}

static void versions_agree(void)
{
	char text[512];
	cl_version platform = 0;
	cl_ulong resolution = 99;

	CHECK_EQ(number(CL_DEVICE_NUMERIC_VERSION), CL_MAKE_VERSION(3, 0, 0));
	OK(clGetDeviceInfo(c.device, CL_DEVICE_VERSION, sizeof text, text, NULL));
	CHECK(!strncmp(text, "OpenCL 3.0 ", 11));
	OK(clGetPlatformInfo(
		c.platform, CL_PLATFORM_NUMERIC_VERSION, sizeof platform, &platform, NULL));
	CHECK_EQ(platform, CL_MAKE_VERSION(3, 0, 0));
	OK(clGetPlatformInfo(c.platform, CL_PLATFORM_VERSION, sizeof text, text, NULL));
	CHECK(!strncmp(text, "OpenCL 3.0 ", 11));
	OK(clGetPlatformInfo(c.platform, CL_PLATFORM_HOST_TIMER_RESOLUTION, sizeof resolution,
		&resolution, NULL));
	CHECK_EQ(resolution, 0);
	OK(clGetDeviceInfo(
		c.device, CL_DEVICE_LATEST_CONFORMANCE_VERSION_PASSED, sizeof text, text, NULL));
	CHECK(text[0] == 'v');
	OK(clGetDeviceInfo(c.device, CL_DEVICE_OPENCL_C_VERSION, sizeof text, text, NULL));
	CHECK(!strncmp(text, "OpenCL C 1.2", 12));
}

static void extensions_are_the_same_with_version(void)
{
	struct names names = names_of(CL_DEVICE_EXTENSIONS_WITH_VERSION);
	char text[4096], *save = NULL;
	size_t n = 0;

	OK(clGetDeviceInfo(c.device, CL_DEVICE_EXTENSIONS, sizeof text, text, NULL));
	for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		CHECK(has_name(&names, word));
		n++;
	}
	CHECK_EQ(n, names.n);
	OK(clGetPlatformInfo(
		c.platform, CL_PLATFORM_EXTENSIONS_WITH_VERSION, sizeof names.at, names.at, &n));
	names.n = n / sizeof names.at[0];
	CHECK(has_name(&names, "cl_khr_icd"));
}

static void print_names(const char *what, const struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		printf("%s: %s %u.%u\n", what, names->at[i].name,
			CL_VERSION_MAJOR(names->at[i].version),
			CL_VERSION_MINOR(names->at[i].version));
}

static void the_kernel_language_is_listed(void)
{
	struct names languages = names_of(CL_DEVICE_OPENCL_C_ALL_VERSIONS);
	struct names features = names_of(CL_DEVICE_OPENCL_C_FEATURES);
	size_t n;

	print_names("language", &languages);
	print_names("feature", &features);
	OK(clGetDeviceInfo(c.device, CL_DEVICE_ILS_WITH_VERSION, 0, NULL, &n));
	CHECK_EQ(n, 0);
}

// What OpenCL 3.0 calls optional, as it is reported; 0 where there is none.
static void what_is_optional_has_an_answer(void)
{
	static const cl_device_info params[] = { CL_DEVICE_DEVICE_ENQUEUE_CAPABILITIES,
		CL_DEVICE_QUEUE_ON_DEVICE_PROPERTIES, CL_DEVICE_QUEUE_ON_DEVICE_PREFERRED_SIZE,
		CL_DEVICE_QUEUE_ON_DEVICE_MAX_SIZE, CL_DEVICE_MAX_ON_DEVICE_QUEUES,
		CL_DEVICE_MAX_ON_DEVICE_EVENTS, CL_DEVICE_PIPE_SUPPORT, CL_DEVICE_MAX_PIPE_ARGS,
		CL_DEVICE_PIPE_MAX_ACTIVE_RESERVATIONS, CL_DEVICE_PIPE_MAX_PACKET_SIZE,
		CL_DEVICE_MAX_GLOBAL_VARIABLE_SIZE, CL_DEVICE_GLOBAL_VARIABLE_PREFERRED_TOTAL_SIZE,
		CL_DEVICE_NON_UNIFORM_WORK_GROUP_SUPPORT,
		CL_DEVICE_WORK_GROUP_COLLECTIVE_FUNCTIONS_SUPPORT,
		CL_DEVICE_GENERIC_ADDRESS_SPACE_SUPPORT, CL_DEVICE_IMAGE_PITCH_ALIGNMENT,
		CL_DEVICE_IMAGE_BASE_ADDRESS_ALIGNMENT, CL_DEVICE_MAX_NUM_SUB_GROUPS,
		CL_DEVICE_SUB_GROUP_INDEPENDENT_FORWARD_PROGRESS,
		CL_DEVICE_MAX_READ_WRITE_IMAGE_ARGS, CL_DEVICE_PREFERRED_WORK_GROUP_SIZE_MULTIPLE,
		CL_DEVICE_PREFERRED_PLATFORM_ATOMIC_ALIGNMENT,
		CL_DEVICE_PREFERRED_GLOBAL_ATOMIC_ALIGNMENT,
		CL_DEVICE_PREFERRED_LOCAL_ATOMIC_ALIGNMENT, CL_DEVICE_ATOMIC_FENCE_CAPABILITIES,
		CL_DEVICE_HALF_FP_CONFIG };
	char text[8];

	for (size_t i = 0; i < sizeof params / sizeof params[0]; i++)
		printf("0x%x: %llu\n", params[i], (unsigned long long)number(params[i]));
	number(CL_DEVICE_SVM_CAPABILITIES);
	CHECK(number(CL_DEVICE_ATOMIC_MEMORY_CAPABILITIES) & CL_DEVICE_ATOMIC_ORDER_RELAXED);
	OK(clGetDeviceInfo(c.device, CL_DEVICE_IL_VERSION, sizeof text, text, NULL));
	CHECK_STR(text, "");
}

// A macro for every feature, and for none other.
static void the_compiler_defines_what_is_reported(void)
{
	static const char *const known[] = { "3d_image_writes", "atomic_order_acq_rel",
		"atomic_order_seq_cst", "atomic_scope_all_devices", "atomic_scope_device",
		"device_enqueue", "fp64", "generic_address_space", "images", "int64", "pipes",
		"program_scope_global_variables", "read_write_images", "subgroups",
		"work_group_collective_functions" };
	enum { KNOWN = sizeof known / sizeof known[0] };
	static const char *const options[] = { "", "-cl-std=CL3.0" };
	struct names features = names_of(CL_DEVICE_OPENCL_C_FEATURES);
	char source[8192] = "kernel void k(global int *o) {\n", name[128];
	const char *text = source;
	cl_mem m = cl_buffer(&c, CL_MEM_READ_WRITE, (KNOWN + 2) * sizeof(cl_int), NULL);
	size_t one = 1, at = strlen(source);

	for (int i = 0; i < KNOWN; i++)
		at += (size_t)snprintf(source + at, sizeof source - at,
			"#ifdef __opencl_c_%s\no[%d] = 1;\n#else\no[%d] = 0;\n#endif\n", known[i],
			i, i);
	snprintf(source + at, sizeof source - at, "o[%d] = __OPENCL_VERSION__; o[%d] = %s; }",
		KNOWN, KNOWN + 1, "__OPENCL_C_VERSION__");
	for (int o = 0; o < 2; o++) {
		cl_int got[KNOWN + 2];
		cl_program p = clCreateProgramWithSource(c.context, 1, &text, NULL, &err);
		OK(err);
		OK(clBuildProgram(p, 0, NULL, options[o], NULL, NULL));
		cl_kernel k = cl_kernel_of(p, "k");
		OK(clSetKernelArg(k, 0, sizeof m, &m));
		OK(clEnqueueNDRangeKernel(c.queue, k, 1, NULL, &one, NULL, 0, NULL, NULL));
		OK(clEnqueueReadBuffer(c.queue, m, CL_TRUE, 0, sizeof got, got, 0, NULL, NULL));
		for (int i = 0; i < KNOWN && got[KNOWN + 1] == 300; i++) {
			snprintf(name, sizeof name, "__opencl_c_%s", known[i]);
			CHECK_EQ(got[i], has_name(&features, name));
		}
		CHECK_EQ(got[KNOWN], 300);
		CHECK(!o || got[KNOWN + 1] == 300);
		OK(clReleaseKernel(k));
		OK(clReleaseProgram(p));
	}
	OK(clReleaseMemObject(m));
}

static void images_are_read_and_written_by_one_kernel(void)
{
	static const char source[] =
		"kernel void k(read_write image2d_t i) { int2 at = {get_global_id(0), 0};"
		" uint4 v = read_imageui(i, at); write_imageui(i, at, v * 2 + 1); }";
	cl_image_desc desc = {
		.image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = 4, .image_height = 1
	};
	cl_image_format format = { CL_RGBA, CL_UNSIGNED_INT32 };
	const size_t origin[3] = { 0 }, region[3] = { 4, 1, 1 }, four = 4;
	cl_uint n = 0, data[16];
	const char *text = source;

	OK(clGetSupportedImageFormats(
		c.context, CL_MEM_KERNEL_READ_AND_WRITE, CL_MEM_OBJECT_IMAGE2D, 0, NULL, &n));
	printf("read and write: %u formats\n", n);
	if (!number(CL_DEVICE_MAX_READ_WRITE_IMAGE_ARGS))
		return;
	CHECK(n > 0);
	for (cl_uint i = 0; i < 16; i++)
		data[i] = i;
	cl_mem m = clCreateImage(
		c.context, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, &format, &desc, data, &err);
	OK(err);
	cl_program p = clCreateProgramWithSource(c.context, 1, &text, NULL, &err);
	OK(clBuildProgram(p, 0, NULL, "-cl-std=CL3.0", NULL, NULL));
	cl_kernel k = cl_kernel_of(p, "k");
	OK(clSetKernelArg(k, 0, sizeof m, &m));
	OK(clEnqueueNDRangeKernel(c.queue, k, 1, NULL, &four, NULL, 0, NULL, NULL));
	OK(clEnqueueReadImage(c.queue, m, CL_TRUE, origin, region, 0, 0, data, 0, NULL, NULL));
	for (cl_uint i = 0; i < 16; i++)
		CHECK_EQ(data[i], 2 * i + 1);
	OK(clReleaseKernel(k));
	OK(clReleaseProgram(p));
	OK(clReleaseMemObject(m));
}

// ---- properties

static void queues_remember_what_they_were_asked_for(void)
{
	const cl_queue_properties asked[] = { CL_QUEUE_PROPERTIES, CL_QUEUE_PROFILING_ENABLE, 0 };
	cl_queue_properties got[8];
	cl_command_queue_properties properties;
	cl_command_queue q, other = (cl_command_queue)&err;
	size_t n;

	q = clCreateCommandQueueWithProperties(c.context, c.device, asked, &err);
	OK(err);
	OK(clGetCommandQueueInfo(q, CL_QUEUE_PROPERTIES_ARRAY, sizeof got, got, &n));
	CHECK(n == sizeof asked && !memcmp(got, asked, n));
	OK(clGetCommandQueueInfo(q, CL_QUEUE_PROPERTIES, sizeof properties, &properties, NULL));
	CHECK_EQ(properties, CL_QUEUE_PROFILING_ENABLE);
	CHECK_EQ(clGetCommandQueueInfo(q, CL_QUEUE_SIZE, sizeof n, &n, NULL),
		CL_INVALID_COMMAND_QUEUE);
	OK(clGetCommandQueueInfo(q, CL_QUEUE_DEVICE_DEFAULT, sizeof other, &other, NULL));
	CHECK(!other);
	OK(clReleaseCommandQueue(q));
	q = clCreateCommandQueueWithProperties(c.context, c.device, NULL, &err);
	OK(err);
	OK(clGetCommandQueueInfo(q, CL_QUEUE_PROPERTIES_ARRAY, sizeof got, got, &n));
	CHECK_EQ(n, 0);
	OK(clReleaseCommandQueue(q));
}

static void memory_remembers_its_properties(void)
{
	const cl_mem_properties none[] = { 0 }, odd[] = { 0x7777, 1, 0 };
	cl_image_desc desc = {
		.image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = 4, .image_height = 4
	};
	cl_image_format format = { CL_RGBA, CL_UNSIGNED_INT8 };
	cl_mem_properties got[4] = { 1 };
	size_t n;

	cl_mem m = clCreateBufferWithProperties(c.context, none, 0, 64, NULL, &err);
	OK(err);
	OK(clGetMemObjectInfo(m, CL_MEM_PROPERTIES, sizeof got, got, &n));
	CHECK(n == sizeof none && !got[0]);
	OK(clReleaseMemObject(m));
	m = clCreateBufferWithProperties(c.context, NULL, 0, 64, NULL, &err);
	OK(clGetMemObjectInfo(m, CL_MEM_PROPERTIES, sizeof got, got, &n));
	CHECK_EQ(n, 0);
	OK(clReleaseMemObject(m));
	m = clCreateImageWithProperties(c.context, none, 0, &format, &desc, NULL, &err);
	OK(err);
	OK(clGetMemObjectInfo(m, CL_MEM_PROPERTIES, sizeof got, got, &n));
	CHECK_EQ(n, sizeof none);
	OK(clReleaseMemObject(m));
	CHECK(!clCreateBufferWithProperties(c.context, odd, 0, 64, NULL, &err));
	CHECK_EQ(err, CL_INVALID_PROPERTY);
}

static void samplers_remember_their_properties(void)
{
	const cl_sampler_properties asked[] = { CL_SAMPLER_NORMALIZED_COORDS, CL_FALSE,
		CL_SAMPLER_FILTER_MODE, CL_FILTER_NEAREST, 0 };
	cl_sampler_properties got[8];
	cl_addressing_mode mode;
	size_t n;
	cl_sampler s = clCreateSamplerWithProperties(c.context, asked, &err);

	OK(err);
	OK(clGetSamplerInfo(s, CL_SAMPLER_PROPERTIES, sizeof got, got, &n));
	CHECK(n == sizeof asked && !memcmp(got, asked, n));
	OK(clGetSamplerInfo(s, CL_SAMPLER_ADDRESSING_MODE, sizeof mode, &mode, NULL));
	CHECK_EQ(mode, CL_ADDRESS_CLAMP);
	OK(clReleaseSampler(s));
}

// ---- calls that are new

static char ended[8];

static void CL_CALLBACK on_context_end(cl_context x, void *letter)
{
	strncat(ended, letter, 1);
}

static void a_context_tells_of_its_end(void)
{
	cl_context x = clCreateContext(NULL, 1, &c.device, NULL, NULL, &err);

	OK(err);
	OK(clSetContextDestructorCallback(x, on_context_end, "a"));
	OK(clSetContextDestructorCallback(x, on_context_end, "b"));
	CHECK_EQ(clSetContextDestructorCallback(x, NULL, NULL), CL_INVALID_VALUE);
	CHECK_EQ(clSetContextDestructorCallback(NULL, on_context_end, NULL), CL_INVALID_CONTEXT);
	OK(clRetainContext(x));
	OK(clReleaseContext(x));
	CHECK_STR(ended, "");
	OK(clReleaseContext(x));
	CHECK_STR(ended, "ba");
}

static void nothing_to_launch_succeeds(void)
{
	cl_program p = cl_build(&c, "kernel void k(global int *o) { *o = 1; }");
	cl_kernel k = cl_kernel_of(p, "k");
	cl_mem m = cl_buffer(&c, CL_MEM_READ_WRITE, 4, NULL);
	const size_t none = 0;
	cl_int status = 1;
	cl_command_type type;
	cl_event e;

	OK(clSetKernelArg(k, 0, sizeof m, &m));
	OK(clEnqueueNDRangeKernel(c.queue, k, 1, NULL, &none, NULL, 0, NULL, &e));
	OK(clWaitForEvents(1, &e));
	OK(clGetEventInfo(e, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL));
	CHECK_EQ(status, CL_COMPLETE);
	OK(clGetEventInfo(e, CL_EVENT_COMMAND_TYPE, sizeof type, &type, NULL));
	CHECK_EQ(type, CL_COMMAND_NDRANGE_KERNEL);
	OK(clReleaseEvent(e));
	OK(clEnqueueNDRangeKernel(c.queue, k, 1, NULL, NULL, NULL, 0, NULL, NULL));
	OK(clFinish(c.queue));
	OK(clReleaseKernel(k));
	OK(clReleaseProgram(p));
	OK(clReleaseMemObject(m));
}

static void programs_have_no_more_than_their_kernels(void)
{
	cl_program p = cl_build(&c, "kernel void k(global int *o) { *o = 1; }");
	cl_bool yes = 7;
	size_t n = 99;

	OK(clGetProgramInfo(p, CL_PROGRAM_SCOPE_GLOBAL_CTORS_PRESENT, sizeof yes, &yes, NULL));
	CHECK_EQ(yes, CL_FALSE);
	OK(clGetProgramInfo(p, CL_PROGRAM_SCOPE_GLOBAL_DTORS_PRESENT, sizeof yes, &yes, NULL));
	CHECK_EQ(yes, CL_FALSE);
	OK(clGetProgramInfo(p, CL_PROGRAM_IL, 0, NULL, &n));
	CHECK_EQ(n, 0);
	n = 99;
	OK(clGetProgramBuildInfo(
		p, c.device, CL_PROGRAM_BUILD_GLOBAL_VARIABLE_TOTAL_SIZE, sizeof n, &n, NULL));
	CHECK_EQ(n, 0);
	OK(clReleaseProgram(p));
}

static void no_pipes_sub_groups_timers(void)
{
	cl_ulong t;
	size_t n;
	cl_program p = cl_build(&c, "kernel void k(global int *o) { *o = 1; }");
	cl_kernel k = cl_kernel_of(p, "k");

	CHECK(!clCreatePipe(c.context, 0, 4, 4, NULL, &err));
	CHECK_EQ(err, CL_INVALID_OPERATION);
	CHECK_EQ(clGetHostTimer(c.device, &t), CL_INVALID_OPERATION);
	CHECK_EQ(clGetDeviceAndHostTimer(c.device, &t, &t), CL_INVALID_OPERATION);
	CHECK_EQ(clGetKernelSubGroupInfo(
			 k, c.device, CL_KERNEL_MAX_NUM_SUB_GROUPS, 0, NULL, sizeof n, &n, NULL),
		CL_INVALID_OPERATION);
	CHECK_EQ(
		clSetDefaultDeviceCommandQueue(c.context, c.device, c.queue), CL_INVALID_OPERATION);
	OK(clReleaseKernel(k));
	OK(clReleaseProgram(p));
}

int main(void)
{
	cl_version version = 0;

	c = cl_setup();
	clGetDeviceInfo(c.device, CL_DEVICE_NUMERIC_VERSION, sizeof version, &version, NULL);
	if (version < CL_MAKE_VERSION(3, 0, 0)) {
		printf("the device is older than OpenCL 3.0\n");
		return 77;
	}
	RUN(versions_agree);
	RUN(extensions_are_the_same_with_version);
	RUN(the_kernel_language_is_listed);
	RUN(what_is_optional_has_an_answer);
	RUN(the_compiler_defines_what_is_reported);
	RUN(images_are_read_and_written_by_one_kernel);
	RUN(queues_remember_what_they_were_asked_for);
	RUN(memory_remembers_its_properties);
	RUN(samplers_remember_their_properties);
	RUN(a_context_tells_of_its_end);
	RUN(nothing_to_launch_succeeds);
	RUN(programs_have_no_more_than_their_kernels);
	RUN(no_pipes_sub_groups_timers);
	cl_teardown(&c);
}
