// SPDX-License-Identifier: Apache-2.0
// A destination that gets its programs as binaries has the code of every launch before it owns the
// vGPU: the host's driver puts each function that it compiles into its cache as a file, and the
// guest's first launches there add none.
#include "vgpu/testing/testhost.h"

#include "base/test.h"

#include <CL/cl.h>
#include <ftw.h>
#include <unistd.h>

#define N 256

static const char *program;
static const char plain[] =
	"__kernel void turn(__global uint *a, __local uint *l) {\n"
	"  size_t i = get_global_id(0), j = get_local_id(0), n = get_local_size(0);\n"
	"  l[j] = a[i]; barrier(CLK_LOCAL_MEM_FENCE);\n"
	"  a[i] = l[n - 1 - j] * 3u + (uint)n; }\n";
static const char part[] = "uint mingle(uint a, uint n);\n"
			   "__kernel void turn(__global uint *a, __local uint *l) {\n"
			   "  size_t i = get_global_id(0); l[get_local_id(0)] = mingle(a[i], "
			   "(uint)get_local_size(0));\n"
			   "  a[i] = l[get_local_id(0)]; }\n";
static const char other_part[] = "uint mingle(uint a, uint n) { return a * 5u + n; }\n";

// ---- what the driver has compiled

static size_t found;
static const char *wanted;

static int note_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
	size_t n = strlen(path), end = strlen(wanted);

	found += type == FTW_F && n > end && !strcmp(path + n - end, wanted);
	return 0;
}

static size_t files(const struct testhost *h, const char *end)
{
	char path[PATH_MAX + 16];

	snprintf(path, sizeof path, "%s/cl-cache", h->folder.path);
	found = 0;
	wanted = end;
	CHECK_EQ(nftw(path, note_file, 16, FTW_PHYS), 0);
	return found;
}

// Functions, each for one local size, and those for any.
static size_t functions(const struct testhost *h)
{
	return files(h, ".so");
}

static size_t programs(const struct testhost *h)
{
	return files(h, "program.bc");
}

// ---- the guest

enum { PLAIN = 3, PART, OTHER_PART, LINKED, BUFFER, PLAIN_STEP, LINKED_STEP };

struct run {
	struct testhost host;
	struct testclient c;
	uint32_t expect[N];
};

static void expect_success(struct run *r, uint32_t seq)
{
	testclient_send(&r->c);
	CHECK_EQ(testclient_answer(&r->c, seq), CL_SUCCESS);
}

static void compile_part(struct run *r, uint32_t id, const char *text)
{
	SEND(&r->c, program_source, 0, .id = id, .context = 1, .total = strlen(text),
		.bytes = TEXT(text));
	expect_success(r, SEND(&r->c, program_compile, 0, .program = id, .options = TEXT("")));
}

static void begin(struct run *r)
{
	*r = (struct run){ 0 };
	testhost_start(&r->host, program, false, "auto");
	r->c = (struct testclient){ .fd = r->host.port };
	testclient_prepare(&r->c, plain);
	compile_part(r, PART, part);
	compile_part(r, OTHER_PART, other_part);
	expect_success(r, SEND(&r->c, program_link, 0, .id = LINKED, .context = 1,
				  .inputs = WAITS(PART, OTHER_PART)));
	SEND(&r->c, buffer_create, 0, .id = BUFFER, .context = 1, .size = sizeof r->expect);
	SEND(&r->c, kernel_create, 0, .id = PLAIN_STEP, .program = PLAIN, .name = TEXT("turn"));
	SEND(&r->c, kernel_create, 0, .id = LINKED_STEP, .program = LINKED, .name = TEXT("turn"));
	for (uint32_t i = 0; i < N; i++)
		r->expect[i] = i;
	SEND(&r->c, write, 0, .queue = 2, .buffer = BUFFER, .size = sizeof r->expect,
		.bytes = BYTES(r->expect, sizeof r->expect));
}

static void end(struct run *r)
{
	testhost_stop(&r->host);
	testclient_close(&r->c);
}

static void expect_step(struct run *r, uint32_t kernel, uint32_t local)
{
	uint32_t before[N];

	memcpy(before, r->expect, sizeof before);
	for (uint32_t i = 0; i < N; i++)
		r->expect[i] = kernel == LINKED_STEP
				       ? before[i] * 5u + local
				       : before[i - i % local + local - 1 - i % local] * 3u + local;
}

static void step(struct run *r, uint32_t kernel, uint32_t local)
{
	_cleanup_buf_ struct buf args = { 0 };

	p_put_arg_item(&args, &(struct p_arg){ 0, PROTO_ARG_BUFFER, BUFFER, { 0 } });
	p_put_arg_item(
		&args, &(struct p_arg){ 1, PROTO_ARG_LOCAL, local * sizeof(uint32_t), { 0 } });
	SEND(&r->c, launch, 0, .queue = 2, .kernel = kernel, .dims = 1, .global = { { N, 1, 1 } },
		.local = { { local, 1, 1 } }, .args = BYTES(args.data, args.len));
	expect_step(r, kernel, local);
	testclient_expect_bytes(&r->c, 2, BUFFER, r->expect, sizeof r->expect);
}

static void steps(struct run *r, uint32_t local)
{
	step(r, PLAIN_STEP, local);
	step(r, LINKED_STEP, local);
}

// ---- moves

static void move(struct run *r, int rounds, bool binaries)
{
	struct testhost to;

	testhost_start(&to, program, true, "auto");
	to.takes_binaries = binaries;
	testhost_precopy(&r->host, &to, rounds, NULL, NULL);
	CHECK(programs(&to) >= 2); // built or unpacked before the guest stops
	testhost_switch(&r->host, &to);
	testhost_stop(&r->host);
	close(r->host.port);
	r->host = to;
	r->c.fd = to.port;
}

static void first_launches_compile_nothing(void)
{
	static const int rounds[] = { 1, 2, 0, 1 };
	struct run r;

	begin(&r);
	steps(&r, 4);
	for (int i = 0; i < 4; i++) {
		uint32_t new_size = 8u << i;
		steps(&r, new_size);
		move(&r, rounds[i], true);
		size_t came = functions(&r.host);
		CHECK(came >= 4);
		for (uint32_t local = 4; local <= new_size; local *= 2)
			steps(&r, local);
		CHECK_EQ(functions(&r.host), came);
	}
	size_t before = functions(&r.host);
	steps(&r, 128); // this is what a compiler's work looks like
	CHECK_EQ(functions(&r.host), before + 2);
	end(&r);
}

// Where the processor or the driver is another: nothing native comes, programs are built of their source
// before this vGPU is owned, and specialised when they are launched.
static void another_device_gets_no_binaries(void)
{
	struct run r;

	begin(&r);
	steps(&r, 4);
	move(&r, 1, true);
	move(&r, 1, false);
	CHECK_EQ(functions(&r.host), 0);
	size_t built = programs(&r.host);
	CHECK(built >= 4); // the plain one, two parts, what was linked of them
	steps(&r, 4);
	CHECK_EQ(programs(&r.host), built);
	CHECK_EQ(functions(&r.host), 2);
	move(&r, 1, true); // and from there as ever
	size_t came = functions(&r.host);
	CHECK(came >= 2);
	steps(&r, 4);
	CHECK_EQ(functions(&r.host), came);
	end(&r);
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	program = argv[1];
	RUN(first_launches_compile_nothing);
	RUN(another_device_gets_no_binaries);
}
