// SPDX-License-Identifier: Apache-2.0
// OpenCL 3.0, sections 5.6.1 (allocating) and 5.9.2 (what a kernel reaches by pointers).
#include "guest/cl/svm.h"

#include <stdlib.h>
#include <string.h>
#include "guest/cl/memory.h"
#include "guest/stream/hello.h"
#include "guest/stream/request.h"
#include "guest/stream/send.h"
#include "guest/stream/session.h"
#include "guest/stream/window.h"

#define KERNEL_ACCESS ((cl_svm_mem_flags)(CL_MEM_READ_WRITE | CL_MEM_WRITE_ONLY | CL_MEM_READ_ONLY))
#define NO_PLACE      UINT64_MAX // the host has not said one

// ---- all allocations, by address

static struct {
	cl_mem *at;
	size_t n, cap;
} all;

// How many begin at or before it.
static size_t count_to(const void *at)
{
	size_t low = 0, high = all.n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if ((uintptr_t)all.at[middle]->host_ptr <= (uintptr_t)at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool enter(cl_mem m)
{
	if (all.n == all.cap) {
		size_t cap = all.cap ? all.cap * 2 : 64;
		cl_mem *at = realloc(all.at, cap * sizeof *at);
		if (!at)
			return false;
		all.at = at;
		all.cap = cap;
	}
	size_t i = count_to(m->host_ptr);
	memmove(&all.at[i + 1], &all.at[i], (all.n - i) * sizeof *all.at);
	all.at[i] = m;
	all.n++;
	return true;
}

cl_mem svm_at(const void *at, cl_context c)
{
	size_t i = count_to(at);
	cl_mem m = i ? all.at[i - 1] : NULL;

	return m && m->context == c && svm_offset(m, at) < m->size ? m : NULL;
}

// ---- allocating

bool svm_is_there(void)
{
	uint64_t at, bytes;

	return window_where(&at, &bytes);
}

// In one memory the host's driver says what its kernels and the program's threads can do there.
cl_device_svm_capabilities svm_capabilities(void)
{
	cl_device_svm_capabilities can = CL_DEVICE_SVM_COARSE_GRAIN_BUFFER;
	size_t n = 0;

	if (!svm_is_there())
		return 0;
	if (!window_is_direct())
		return can;
	const uint8_t *mapped = hello_info(PROTO_INFO_SVM, PROTO_SVM_MAPPED, &n);
	if (mapped && n == sizeof can)
		memcpy(&can, mapped, n);
	return can;
}

static bool are_valid(cl_svm_mem_flags flags)
{
	const cl_svm_mem_flags fine = CL_MEM_SVM_FINE_GRAIN_BUFFER, atomics = CL_MEM_SVM_ATOMICS;
	cl_device_svm_capabilities can = svm_capabilities();

	if (flags & ~(KERNEL_ACCESS | fine | atomics))
		return false;
	if (flags & fine && !(can & CL_DEVICE_SVM_FINE_GRAIN_BUFFER))
		return false;
	if (flags & atomics && !(flags & fine && can & CL_DEVICE_SVM_ATOMICS))
		return false;
	return __builtin_popcountll(flags & KERNEL_ACCESS) <= 1;
}

static bool is_valid(cl_svm_mem_flags flags, size_t size, cl_uint alignment)
{
	const struct device_limits *limits = device_limits();

	return are_valid(flags) && size && size <= limits->alloc_bytes &&
	       !(alignment & (alignment - 1)) && alignment <= limits->base_align_bits / 8;
}

static cl_int announce(cl_mem m)
{
	struct p_svm_create msg = { m->o.id, m->context->o.id, mem_host_flags(m), m->size };

	session_send_releases(); // their memory may be what this needs
	cl_int err = send_svm_create(P_ANSWER, &msg, &m->seq);
	if (err)
		return err;
	m->o.announced = true;
	return request_status(m->seq);
}

static bool make(cl_mem m)
{
	m->place = NO_PLACE;
	if (announce(m) || m->place == NO_PLACE)
		return false;
	m->host_ptr = window_take(m->place, m->size);
	return m->host_ptr && enter(m);
}

void *ferry_clSVMAlloc(cl_context c, cl_svm_mem_flags flags, size_t size, cl_uint alignment)
{
	LOCKED;
	if (object_check(c, &context_class) || !svm_is_there() || !is_valid(flags, size, alignment))
		return NULL;
	cl_mem m = mem_new(
		c, CL_MEM_OBJECT_BUFFER, (flags & KERNEL_ACCESS) | CL_MEM_USE_HOST_PTR, size);
	if (!m)
		return NULL;
	m->is_svm = true;
	if (make(m))
		return m->host_ptr;
	object_unref(m);
	return NULL;
}

void svm_free(void *at)
{
	size_t i = count_to(at);
	cl_mem m = i ? all.at[i - 1] : NULL;

	if (!m || m->host_ptr != at)
		return;
	memmove(&all.at[i - 1], &all.at[i], (all.n - i) * sizeof *all.at);
	all.n--;
	size_t size = m->size;
	object_unref(m);
	if (size >= MEM_ASK_BYTES)
		session_flush();
}

void ferry_clSVMFree(cl_context c, void *at)
{
	LOCKED;
	svm_free(at);
}

// ---- what a kernel reaches by pointers

static struct svm_name *names_new(size_t n)
{
	return malloc(n * sizeof(struct svm_name) + 1);
}

// Takes over `names`.
static void set_names(cl_kernel k, struct svm_name *names, size_t n)
{
	k->svm_changed |= n || k->n_svm;
	free(k->svm);
	k->svm = names;
	k->n_svm = (cl_uint)n;
}

cl_int svm_name_copy(cl_kernel to, cl_kernel from)
{
	struct svm_name *names = names_new(from->n_svm);

	if (!names)
		return CL_OUT_OF_HOST_MEMORY;
	if (from->n_svm)
		memcpy(names, from->svm, from->n_svm * sizeof *names);
	set_names(to, names, from->n_svm);
	return CL_SUCCESS;
}

// An allocation that is gone meanwhile was freed by the program, which may no longer use it.
cl_int svm_names_send(cl_kernel k)
{
	static uint32_t ids[PROTO_IDS_MAX];
	struct p_kernel_svm m = { .kernel = k->o.id, .allocations = { .ids = ids } };
	cl_int err = session_room(1); // the list is not to change while the lock is given up

	for (cl_uint i = 0; !err && i < k->n_svm; i++)
		if (object_alive(k->svm[i].id, k->svm[i].serial))
			ids[m.allocations.n++] = k->svm[i].id;
	if (!err)
		err = send_kernel_svm(0, &m, NULL);
	k->svm_changed &= err != CL_SUCCESS;
	return err;
}

static cl_int name_pointers(cl_kernel k, const void *const *pointers, size_t n)
{
	struct svm_name *names = names_new(n);
	cl_int err = names ? CL_SUCCESS : CL_OUT_OF_HOST_MEMORY;

	for (size_t i = 0; !err && i < n; i++) {
		cl_mem m = svm_at(pointers[i], k->context);
		if (m)
			names[i] = (struct svm_name){ m->o.id, m->o.serial };
		else
			err = CL_INVALID_VALUE;
	}
	if (err)
		free(names);
	else
		set_names(k, names, n);
	return err;
}

static cl_int set_fine_grain(size_t size, const void *value)
{
	cl_bool on;

	if (size != sizeof on || !value)
		return CL_INVALID_VALUE;
	memcpy(&on, value, sizeof on);
	return on ? CL_INVALID_OPERATION : CL_SUCCESS;
}

cl_int ferry_clSetKernelExecInfo(
	cl_kernel k, cl_kernel_exec_info param, size_t size, const void *value)
{
	LOCKED;
	cl_int err = object_check(k, &kernel_class);

	if (err)
		return err;
	if (!svm_is_there())
		return CL_INVALID_OPERATION;
	if (param == CL_KERNEL_EXEC_INFO_SVM_FINE_GRAIN_SYSTEM)
		return set_fine_grain(size, value);
	if (param != CL_KERNEL_EXEC_INFO_SVM_PTRS || size % sizeof(void *) || !size != !value)
		return CL_INVALID_VALUE;
	if (size / sizeof(void *) > PROTO_IDS_MAX)
		return CL_OUT_OF_RESOURCES;
	return name_pointers(k, value, size / sizeof(void *));
}
