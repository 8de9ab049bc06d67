// SPDX-License-Identifier: Apache-2.0
// Native binaries are taken in a process of their own, which builds the program once more (from the
// driver's cache, where every work-group function that our launches needed lies by now) and asks for
// its binary. PoCL 3.1 cannot be asked in the process that runs the program: serialising loads the
// kernels' general forms into the table of loaded code while a launch counts references in it, and
// the launch's end then aborts the process ("pocl_release_dlhandle_cache: ref_count > 0").
#include "vgpu/backend/cl_binary.h"
#include "vgpu/backend/cl_backend.h"
#include "vgpu/backend/cl_scratch.h"
#include "vgpu/protocol/protocol.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/process.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define REQUEST_FD    3
#define RESULT_FD     4
#define REQUEST_CAP   (80u << 20)
#define BINARY_CAP    (48u << 20) // bytes of a native binary that is carried along
#define TEXT_CAP      (64u << 20)
#define OPTIONS_CAP   (64u << 10)
#define MAX_DEPTH     4  // a linked program, its parts, their headers
#define CHILD_SECONDS 60 // a build whose results are cached takes milliseconds

static int write_whole(int fd, const void *bytes, size_t n)
{
	const char *at = bytes;

	while (n) {
		ssize_t w = write(fd, at, n);
		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return -EIO;
		at += w;
		n -= (size_t)w;
	}
	return lseek(fd, 0, SEEK_SET) < 0 ? -errno : 0;
}

// A memfd's contents, appended.
static int read_whole(int fd, size_t cap, struct buf *to)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || st.st_size <= 0 || (uint64_t)st.st_size > cap)
		return -EPROTO;
	uint8_t *at = buf_reserve(to, (size_t)st.st_size);
	if (!at || pread(fd, at, (size_t)st.st_size, 0) != st.st_size)
		return -EIO;
	to->len += (size_t)st.st_size;
	return 0;
}

static void put_origin(struct buf *b, const struct be_origin *o)
{
	buf_put_u8(b, o->binary);
	buf_put_u8(b, o->built);
	buf_put_u8(b, (uint8_t)o->kind);
	buf_put_blob(b, o->options, strlen(o->options) + 1);
	buf_put_blob(b, o->bytes.data, o->bytes.len);
	buf_put_u32(b, o->n_inputs);
	for (uint32_t i = 0; i < o->n_inputs; i++) {
		const char *name = o->names ? o->names[i] : "";
		buf_put_blob(b, name, strlen(name) + 1);
		put_origin(b, &o->inputs[i]);
	}
}

static int put_request(int fd, const struct be_origin *from)
{
	_cleanup_buf_ struct buf b = { .limit = REQUEST_CAP };

	put_origin(&b, from);
	return b.failed ? -E2BIG : write_whole(fd, b.data, b.len);
}

// Its exit status; -EIO where it has none.
static int run_child(int request, int result, unsigned device, int log_fd)
{
	struct cl_scratch scratch;
	struct process_fd fds[] = { { request, REQUEST_FD }, { result, RESULT_FD } };
	char number[16];
	int status = -1;

	snprintf(number, sizeof number, "%u", device);
	cl_scratch_make(&scratch);
	struct process_spec spec = { .argv = (const char *[]){ "/proc/self/exe", CL_BINARY_OPTION,
					     number, NULL },
		.env = (const char *[]){ scratch.folder.path[0] ? scratch.env : NULL, NULL },
		.log_fd = log_fd,
		.fds = fds,
		.n_fds = 2 };
	int r = process_run(&spec, &status, NULL);
	cl_scratch_remove(&scratch);
	return r < 0 || !WIFEXITED(status) ? -EIO : WEXITSTATUS(status);
}

cl_int cl_program_get_binary(struct backend *be, const struct be_origin *from, struct buf *binary)
{
	_cleanup_fd_ int request = memfd_create("request", MFD_CLOEXEC);
	_cleanup_fd_ int result = memfd_create("binary", MFD_CLOEXEC);

	if (request < 0 || result < 0 || put_request(request, from) < 0)
		return CL_OUT_OF_HOST_MEMORY;
	if (run_child(request, result, cl_of(be)->config.device, STDERR_FILENO) != 0)
		return CL_INVALID_PROGRAM_EXECUTABLE;
	return read_whole(result, BINARY_CAP, binary) < 0 ? CL_INVALID_PROGRAM_EXECUTABLE
							  : CL_SUCCESS;
}

// Of the loader's message (dlerror(3)), which PoCL prints before it aborts.
static void put_undefined(const struct buf *words, struct buf *name)
{
	static const char mark[] = "undefined symbol: ";
	const char *end = (const char *)words->data + words->len;
	const char *at = words->len ? memmem(words->data, words->len, mark, sizeof mark - 1) : NULL;

	if (!at)
		return;
	at += sizeof mark - 1;
	size_t n = 0;
	while (at + n < end && (isalnum((unsigned char)at[n]) || strchr("_$.", at[n])))
		n++;
	buf_put(name, at, n);
}

void cl_program_lacks(struct backend *be, const struct be_origin *from, struct buf *name)
{
	_cleanup_fd_ int request = memfd_create("request", MFD_CLOEXEC);
	_cleanup_fd_ int result = memfd_create("binary", MFD_CLOEXEC);
	_cleanup_fd_ int said = memfd_create("said", MFD_CLOEXEC);
	_cleanup_buf_ struct buf words = { 0 };

	if (request < 0 || result < 0 || said < 0 || put_request(request, from) < 0)
		return;
	if (run_child(request, result, cl_of(be)->config.device, said) < 0 &&
		read_whole(said, REQUEST_CAP, &words) == 0)
		put_undefined(&words, name);
}

// ---- in the child

// A NUL-terminated string in place, or NULL.
static const char *get_text(struct rd *r)
{
	size_t n;
	const uint8_t *at = rd_blob(r, OPTIONS_CAP, &n);

	if (!at || !n || at[n - 1] != '\0')
		r->failed = true;
	return r->failed ? NULL : (const char *)at;
}

// Makes what `r` describes, the programs that go into it first.
static struct be_program *make(struct backend *be, struct rd *r, unsigned depth)
{
	bool binary = rd_u8(r), built = rd_u8(r);
	struct be_build how = { .kind = rd_u8(r), .options = get_text(r) };
	struct be_program *inputs[PROTO_INPUTS_MAX], *program = NULL;
	const char *names[PROTO_INPUTS_MAX];
	size_t n;
	const uint8_t *bytes = rd_blob(r, TEXT_CAP, &n);
	cl_int err = CL_SUCCESS;

	how.n_inputs = rd_u32(r);
	how.inputs = inputs;
	how.names = names;
	if (r->failed || how.n_inputs > PROTO_INPUTS_MAX || depth > MAX_DEPTH)
		return NULL;
	for (uint32_t i = 0; i < how.n_inputs; i++) {
		names[i] = get_text(r);
		inputs[i] = make(be, r, depth + 1);
		if (!names[i] || !inputs[i])
			return NULL;
	}
	if (how.kind != BE_LINK || binary)
		err = binary ? cl_program_binary(be, bytes, n, &program)
			     : cl_program_source(be, (const char *)bytes, n, &program);
	if (err == CL_SUCCESS && built)
		err = cl_program_build(be, &program, &how);
	return err == CL_SUCCESS ? program : NULL;
}

static int put_result(struct be_program *program)
{
	cl_program p = (cl_program)program;
	size_t n = 0;

	if (clGetProgramInfo(p, CL_PROGRAM_BINARY_SIZES, sizeof n, &n, NULL) != CL_SUCCESS || !n ||
		n > BINARY_CAP)
		return -EIO;
	_cleanup_free_ unsigned char *bytes = malloc(n);
	if (!bytes ||
		clGetProgramInfo(p, CL_PROGRAM_BINARIES, sizeof bytes, &bytes, NULL) != CL_SUCCESS)
		return -EIO;
	return write_whole(RESULT_FD, bytes, n);
}

static int answer(struct backend *be)
{
	_cleanup_buf_ struct buf request = { 0 };

	if (read_whole(REQUEST_FD, REQUEST_CAP, &request) < 0)
		return -EPROTO;
	struct rd r = rd_make(request.data, request.len);
	struct be_program *program = make(be, &r, 0);
	return program ? put_result(program) : -EIO;
}

int cl_binary_child(unsigned device)
{
	struct be_config config = { .device = device };
	struct backend *be = NULL;

	alarm(CHILD_SECONDS);
	if (backend_cl.open(&config, &be, NULL) < 0)
		return 1;
	// The driver's own clean-up is not worth its time, nor its risk.
	_exit(answer(be) < 0 ? 1 : 0);
}
