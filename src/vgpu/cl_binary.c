// SPDX-License-Identifier: Apache-2.0
// Native binaries are taken in a process of their own, which builds the program once more (from the
// driver's cache, where every work-group function that our launches needed lies by now) and asks for
// its binary. PoCL 3.1 cannot be asked in the process that runs the program: serialising loads the
// kernels' general forms into the table of loaded code while a launch counts references in it, and
// the launch's end then aborts the process ("pocl_release_dlhandle_cache: ref_count > 0").
#include "vgpu/cl_binary.h"
#include "vgpu/cl_backend.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/process.h"

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

static int put_request(int fd, const struct be_origin *from)
{
	_cleanup_buf_ struct buf b = { .limit = REQUEST_CAP };

	buf_put_u8(&b, from->binary);
	buf_put_blob(&b, from->options, strlen(from->options) + 1);
	buf_put_blob(&b, from->bytes, from->n);
	return b.failed ? -E2BIG : write_whole(fd, b.data, b.len);
}

// Asks in this process, appended.
static cl_int own_binary(cl_program p, struct buf *binary)
{
	size_t n = 0;
	cl_int err = clGetProgramInfo(p, CL_PROGRAM_BINARY_SIZES, sizeof n, &n, NULL);

	if (err != CL_SUCCESS)
		return err;
	unsigned char *to = n && n <= BINARY_CAP ? buf_reserve(binary, n) : NULL;
	if (!to)
		return CL_INVALID_PROGRAM_EXECUTABLE;
	err = clGetProgramInfo(p, CL_PROGRAM_BINARIES, sizeof to, &to, NULL);
	if (err == CL_SUCCESS)
		binary->len += n;
	return err;
}

cl_int cl_program_get_binary(struct backend *be, const struct be_origin *from, struct buf *binary)
{
	_cleanup_fd_ int request = memfd_create("request", MFD_CLOEXEC);
	_cleanup_fd_ int result = memfd_create("binary", MFD_CLOEXEC);
	char device[16];
	const char *argv[] = { "/proc/self/exe", CL_BINARY_OPTION, device, NULL };
	struct process_fd fds[] = { { request, REQUEST_FD }, { result, RESULT_FD } };
	struct process_spec spec = {
		.argv = argv, .log_fd = STDERR_FILENO, .fds = fds, .n_fds = 2
	};
	int status;

	if (from->program)
		return own_binary((cl_program)from->program, binary);
	snprintf(device, sizeof device, "%u", cl_of(be)->config.device);
	if (request < 0 || result < 0 || put_request(request, from) < 0)
		return CL_OUT_OF_HOST_MEMORY;
	if (process_run(&spec, &status, NULL) < 0 || !WIFEXITED(status) || WEXITSTATUS(status))
		return CL_INVALID_PROGRAM_EXECUTABLE;
	return read_whole(result, BINARY_CAP, binary) < 0 ? CL_INVALID_PROGRAM_EXECUTABLE
							  : CL_SUCCESS;
}

// ---- in the child

static cl_int build(struct backend *be, const struct be_origin *from, struct be_program **ret)
{
	struct be_build how = { .kind = BE_BUILD, .options = from->options };
	cl_int err = from->binary ? cl_program_binary(be, from->bytes, from->n, ret)
				  : cl_program_source(be, from->bytes, from->n, ret);

	return err == CL_SUCCESS ? cl_program_build(be, ret, &how) : err;
}

static int put_result(struct be_program *program)
{
	_cleanup_buf_ struct buf binary = { 0 };

	if (own_binary((cl_program)program, &binary) != CL_SUCCESS)
		return -EIO;
	return write_whole(RESULT_FD, binary.data, binary.len);
}

static int answer(struct backend *be)
{
	_cleanup_buf_ struct buf request = { 0 };
	struct be_program *program = NULL;
	size_t options_n, n;

	if (read_whole(REQUEST_FD, REQUEST_CAP, &request) < 0)
		return -EPROTO;
	struct rd r = rd_make(request.data, request.len);
	struct be_origin from = { .binary = rd_u8(&r) };
	from.options = (const char *)rd_blob(&r, OPTIONS_CAP, &options_n);
	from.bytes = rd_blob(&r, TEXT_CAP, &n);
	from.n = n;
	if (r.failed || !options_n || from.options[options_n - 1] != '\0')
		return -EPROTO;
	return build(be, &from, &program) == CL_SUCCESS ? put_result(program) : -EIO;
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
