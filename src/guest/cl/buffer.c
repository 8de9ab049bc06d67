// SPDX-License-Identifier: Apache-2.0
// OpenCL 1.2, section 5.2: buffers and sub-buffers; what images have in common with them.
#include "guest/cl/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "base/cleanup.h"
#include "guest/cl/info.h"
#include "guest/cl/queue.h"
#include "guest/cl/svm.h"
#include "guest/stream/direct.h"
#include "guest/stream/request.h"
#include "guest/stream/send.h"
#include "guest/stream/session.h"
#include "guest/stream/transfer.h"
#include "guest/stream/window.h"

#define ACCESS_FLAGS      (CL_MEM_READ_WRITE | CL_MEM_WRITE_ONLY | CL_MEM_READ_ONLY)
#define HOST_PTR_FLAGS    (CL_MEM_USE_HOST_PTR | CL_MEM_ALLOC_HOST_PTR | CL_MEM_COPY_HOST_PTR)
#define HOST_ACCESS_FLAGS (CL_MEM_HOST_WRITE_ONLY | CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_NO_ACCESS)

// ---- life

static void destroy(struct object *o)
{
	cl_mem m = (cl_mem)o;

	callbacks_defer(&m->destructors);
	while (m->mappings) {
		struct mapping *map = m->mappings;
		m->mappings = map->next;
		mem_shadow_unuse(m);
		free(map);
	}
	mem_shadow_drop(m);
	if (m->is_svm && m->host_ptr)
		window_give(m->host_ptr, m->size);
	object_unref(m->svm);
	object_unref(m->parent);
	object_unref(m->context);
}

const struct object_class mem_class = { CL_INVALID_MEM_OBJECT, destroy };

cl_int mem_check(cl_mem m, cl_context c)
{
	cl_int err = object_check(m, &mem_class);

	if (err)
		return err;
	return m->context == c ? CL_SUCCESS : CL_INVALID_CONTEXT;
}

cl_int buffer_check(cl_mem m, cl_context c)
{
	cl_int err = mem_check(m, c);

	return err || m->type == CL_MEM_OBJECT_BUFFER ? err : CL_INVALID_MEM_OBJECT;
}

cl_int mem_check_access(cl_mem m, bool write)
{
	cl_mem_flags denied = write ? CL_MEM_HOST_READ_ONLY : CL_MEM_HOST_WRITE_ONLY;

	return m->flags & (denied | CL_MEM_HOST_NO_ACCESS) ? CL_INVALID_OPERATION : CL_SUCCESS;
}

uint8_t *mem_shadow(cl_mem m)
{
	if (m->parent) {
		uint8_t *base = mem_shadow(m->parent);
		return base ? base + m->origin : NULL;
	}
	if (m->flags & CL_MEM_USE_HOST_PTR)
		return m->host_ptr;
	if (!m->shadow) {
		void *at = mmap(NULL, m->size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		m->shadow = at == MAP_FAILED ? NULL : at;
	}
	return m->shadow;
}

static cl_mem shadow_owner(cl_mem m)
{
	while (m->parent)
		m = m->parent;
	return m;
}

void mem_shadow_use(cl_mem m)
{
	shadow_owner(m)->shadow_users++;
}

void mem_shadow_unuse(cl_mem m)
{
	shadow_owner(m)->shadow_users--;
}

void mem_shadow_drop(cl_mem m)
{
	if (m->shadow)
		munmap(m->shadow, m->size);
	m->shadow = NULL;
}

// ---- flags

static int bits(cl_mem_flags flags)
{
	return __builtin_popcountll(flags);
}

cl_int mem_check_flags(cl_mem_flags flags, bool host_ptr)
{
	const cl_mem_flags known = ACCESS_FLAGS | HOST_PTR_FLAGS | HOST_ACCESS_FLAGS;

	if (flags & ~known || bits(flags & ACCESS_FLAGS) > 1 || bits(flags & HOST_ACCESS_FLAGS) > 1)
		return CL_INVALID_VALUE;
	if (flags & CL_MEM_USE_HOST_PTR && bits(flags & HOST_PTR_FLAGS) > 1)
		return CL_INVALID_VALUE;
	if (host_ptr != !!(flags & (CL_MEM_USE_HOST_PTR | CL_MEM_COPY_HOST_PTR)))
		return CL_INVALID_HOST_PTR;
	return CL_SUCCESS;
}

static cl_mem_flags with_access(cl_mem_flags flags)
{
	return flags & ACCESS_FLAGS ? flags : flags | CL_MEM_READ_WRITE;
}

// ---- creation

cl_mem mem_new(cl_context c, cl_mem_object_type type, cl_mem_flags flags, size_t size)
{
	cl_mem m = object_new(&mem_class, sizeof *m, true);

	if (!m)
		return NULL;
	m->context = c;
	object_ref(c);
	m->type = type;
	m->flags = with_access(flags);
	m->size = size;
	return m;
}

cl_mem_flags mem_host_flags(cl_mem m)
{
	return m->flags & ~HOST_PTR_FLAGS;
}

cl_int mem_announce(cl_mem m)
{
	struct p_buffer_create msg = { m->o.id, m->context->o.id, mem_host_flags(m), m->size };
	bool ask = m->size >= MEM_ASK_BYTES;

	session_send_releases(); // their memory may be what this needs
	cl_int err = send_buffer_create(ask ? P_ANSWER : 0, &msg, &m->seq);

	if (err)
		return err;
	m->o.announced = true;
	return ask ? request_status(m->seq) : CL_SUCCESS;
}

// The contents must be there for commands of every queue, so this waits; no command can use a new
// buffer yet that lies in shared memory.
static cl_int fill_in(cl_mem m, const void *host_ptr)
{
	cl_command_queue q;

	if (direct_at(m)) {
		memcpy(direct_at(m), host_ptr, m->size);
		return CL_SUCCESS;
	}
	cl_int err = queue_for_setup(&q, m->context);

	if (!err)
		err = transfer_write(q, m, 0, host_ptr, m->size);
	return err ? err : queue_finish(q);
}

static cl_int announce_part(cl_mem m, cl_mem of, size_t origin)
{
	struct p_sub_buffer_create msg = { m->o.id, of->o.id, mem_host_flags(m), origin, m->size };
	cl_int err = send_sub_buffer_create(0, &msg, NULL);

	m->o.announced = !err;
	return err;
}

// Memory of the program's, whose contents become the buffer's.
static cl_int make(cl_mem m, void *host_ptr)
{
	cl_int err = mem_announce(m);

	if (m->flags & CL_MEM_USE_HOST_PTR)
		m->host_ptr = host_ptr;
	return !err && host_ptr ? fill_in(m, host_ptr) : err;
}

// Shared virtual memory is the device's already: the buffer is a part of it.
static cl_int make_over(cl_mem m, cl_mem svm, void *host_ptr)
{
	size_t origin = (size_t)((uint8_t *)host_ptr - (uint8_t *)svm->host_ptr);

	m->host_ptr = host_ptr;
	m->uses_svm = CL_TRUE;
	m->svm = svm;
	object_ref(svm);
	if (m->size > svm->size - origin)
		return CL_INVALID_BUFFER_SIZE;
	if (svm->direct)
		m->direct = svm->direct + origin;
	return announce_part(m, svm, origin);
}

static cl_mem create(
	cl_context c, cl_mem_flags flags, size_t size, void *host_ptr, cl_int *errcode_ret)
{
	cl_mem m = mem_new(c, CL_MEM_OBJECT_BUFFER, flags, size);
	cl_mem svm = flags & CL_MEM_USE_HOST_PTR ? svm_at(host_ptr, c) : NULL;
	cl_int err = !m    ? CL_OUT_OF_HOST_MEMORY
		     : svm ? make_over(m, svm, host_ptr)
			   : make(m, host_ptr);

	refuse(errcode_ret, err);
	if (!err)
		return m;
	object_unref(m);
	return NULL;
}

cl_mem ferry_clCreateBuffer(
	cl_context c, cl_mem_flags flags, size_t size, void *host_ptr, cl_int *errcode_ret)
{
	LOCKED;
	cl_int err = object_check(c, &context_class);

	if (!err)
		err = mem_check_flags(flags, host_ptr);
	if (!err && (!size || size > device_limits()->alloc_bytes))
		err = CL_INVALID_BUFFER_SIZE;
	return err ? refuse(errcode_ret, err) : create(c, flags, size, host_ptr, errcode_ret);
}

cl_mem ferry_clCreateBufferWithProperties(cl_context c, const cl_mem_properties *properties,
	cl_mem_flags flags, size_t size, void *host_ptr, cl_int *errcode_ret)
{
	if (properties && properties[0])
		return refuse(errcode_ret, CL_INVALID_PROPERTY);
	cl_mem m = ferry_clCreateBuffer(c, flags, size, host_ptr, errcode_ret);
	if (m)
		m->has_properties = properties;
	return m;
}

// ---- sub-buffers

cl_int mem_part_flags(cl_mem parent, cl_mem_flags flags, cl_mem_flags *ret)
{
	cl_mem_flags access = flags & ACCESS_FLAGS, host = flags & HOST_ACCESS_FLAGS;
	cl_mem_flags of_parent = parent->flags;

	if (flags & ~(ACCESS_FLAGS | HOST_ACCESS_FLAGS) || bits(access) > 1 || bits(host) > 1)
		return CL_INVALID_VALUE;
	if (access && !(of_parent & CL_MEM_READ_WRITE) && access != (of_parent & ACCESS_FLAGS))
		return CL_INVALID_VALUE;
	if (host && of_parent & HOST_ACCESS_FLAGS && host != CL_MEM_HOST_NO_ACCESS &&
		host != (of_parent & HOST_ACCESS_FLAGS))
		return CL_INVALID_VALUE;
	*ret = (access ? access : of_parent & ACCESS_FLAGS) |
	       (host ? host : of_parent & HOST_ACCESS_FLAGS) | (of_parent & HOST_PTR_FLAGS);
	return CL_SUCCESS;
}

static cl_int check_sub(cl_mem parent, cl_buffer_create_type type, const cl_buffer_region *region)
{
	size_t align = device_limits()->base_align_bits / 8;
	cl_int err = object_check(parent, &mem_class);

	if (err)
		return err;
	if (parent->parent || parent->type != CL_MEM_OBJECT_BUFFER)
		return CL_INVALID_MEM_OBJECT;
	if (type != CL_BUFFER_CREATE_TYPE_REGION || !region)
		return CL_INVALID_VALUE;
	if (region->origin > parent->size || region->size > parent->size - region->origin)
		return CL_INVALID_VALUE;
	if (!region->size)
		return CL_INVALID_BUFFER_SIZE;
	return align && region->origin % align ? CL_MISALIGNED_SUB_BUFFER_OFFSET : CL_SUCCESS;
}

cl_mem ferry_clCreateSubBuffer(cl_mem parent, cl_mem_flags flags, cl_buffer_create_type type,
	const void *info, cl_int *errcode_ret)
{
	const cl_buffer_region *region = info;
	LOCKED;
	cl_int err = check_sub(parent, type, region);

	if (!err)
		err = mem_part_flags(parent, flags, &flags);
	if (err)
		return refuse(errcode_ret, err);
	cl_mem m = mem_new(parent->context, CL_MEM_OBJECT_BUFFER, flags, region->size);
	if (!m)
		return refuse(errcode_ret, CL_OUT_OF_HOST_MEMORY);
	m->parent = parent;
	object_ref(parent);
	m->origin = region->origin;
	if (parent->host_ptr)
		m->host_ptr = (char *)parent->host_ptr + m->origin;
	m->uses_svm = parent->uses_svm;
	err = announce_part(m, parent, m->origin);
	refuse(errcode_ret, err);
	if (!err)
		return m;
	object_unref(m);
	return NULL;
}

// ---- the rest

cl_int ferry_clRetainMemObject(cl_mem m)
{
	return object_retain(m, &mem_class);
}

// Memory is scarce: the host hears of its end at once when something large goes.
cl_int ferry_clReleaseMemObject(cl_mem m)
{
	size_t size = 0;
	{
		LOCKED;
		if (!object_check(m, &mem_class))
			size = m->size;
	}
	cl_int err = object_release(m, &mem_class);
	if (!err && size >= MEM_ASK_BYTES) {
		LOCKED;
		session_flush();
	}
	return err;
}

cl_int ferry_clGetMemObjectInfo(
	cl_mem m, cl_mem_info param, size_t size, void *value, size_t *size_ret)
{
	static const struct info_row rows[] = {
		INFO_OF(CL_MEM_TYPE, struct _cl_mem, type),
		INFO_OF(CL_MEM_FLAGS, struct _cl_mem, flags),
		INFO_OF(CL_MEM_SIZE, struct _cl_mem, size),
		INFO_OF(CL_MEM_HOST_PTR, struct _cl_mem, host_ptr),
		INFO_OF(CL_MEM_MAP_COUNT, struct _cl_mem, map_count),
		INFO_OF(CL_MEM_REFERENCE_COUNT, struct _cl_mem, o.users),
		INFO_OF(CL_MEM_CONTEXT, struct _cl_mem, context),
		INFO_OF(CL_MEM_ASSOCIATED_MEMOBJECT, struct _cl_mem, parent),
		INFO_OF(CL_MEM_OFFSET, struct _cl_mem, origin),
		INFO_OF(CL_MEM_USES_SVM_POINTER, struct _cl_mem, uses_svm),
	};
	LOCKED;
	static const cl_mem_properties none;
	cl_int err = object_check(m, &mem_class);

	if (err)
		return err;
	if (param == CL_MEM_PROPERTIES)
		return info_value(
			&none, m->has_properties ? sizeof none : 0, size, value, size_ret);
	return info_get(rows, ARRAY_SIZE(rows), m, param, size, value, size_ret);
}

static void invoke(const struct callback *c)
{
	void(CL_CALLBACK * fn)(cl_mem, void *) = (void(CL_CALLBACK *)(cl_mem, void *))c->fn;

	fn(c->object, c->user_data);
}

cl_int ferry_clSetMemObjectDestructorCallback(
	cl_mem m, void(CL_CALLBACK *fn)(cl_mem, void *), void *user_data)
{
	LOCKED;
	cl_int err = object_check(m, &mem_class);

	if (err)
		return err;
	return callback_push(&m->destructors, invoke, (void (*)(void))fn, m, user_data);
}
