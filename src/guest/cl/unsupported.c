// SPDX-License-Identifier: Apache-2.0
// What this device does not have: built-in kernels, sub-groups, pipes, and sharing with OpenGL, EGL or Direct3D. Each call returns the error that the
// specification names for a device without the feature (OpenCL 1.2, sections 5.6 and 5.8;
// the extension specification for sharing; OpenCL 3.0, section 4.2 for what came later).
#include "guest/cl/dispatch.h"

#define REFUSE(name, code, ...)                                                                    \
	cl_int ferry_##name(__VA_ARGS__)                                                           \
	{                                                                                          \
		return code;                                                                       \
	}
#define REFUSE_NEW(type, name, code, ...)                                                          \
	type ferry_##name(__VA_ARGS__)                                                             \
	{                                                                                          \
		return refuse(errcode_ret, code);                                                  \
	}
#define WAITS cl_uint n_waits, const cl_event *waits, cl_event *event
#define ERR   cl_int *errcode_ret

// ---- kernels that are not OpenCL C

REFUSE_NEW(cl_program, clCreateProgramWithBuiltInKernels, CL_INVALID_VALUE, cl_context c,
	cl_uint n_devices, const cl_device_id *devices, const char *names, ERR)
REFUSE_NEW(cl_program, clCreateProgramWithIL, CL_INVALID_OPERATION, cl_context c, const void *il,
	size_t length, ERR)
REFUSE(clSetProgramReleaseCallback, CL_INVALID_OPERATION, cl_program p,
	void(CL_CALLBACK *fn)(cl_program, void *), void *user_data)
REFUSE(clSetProgramSpecializationConstant, CL_INVALID_OPERATION, cl_program p, cl_uint id,
	size_t size, const void *value)
REFUSE(clGetKernelSubGroupInfo, CL_INVALID_OPERATION, cl_kernel k, cl_device_id d,
	cl_kernel_sub_group_info param, size_t in_size, const void *in, size_t size, void *value,
	size_t *size_ret)
REFUSE(clGetKernelSubGroupInfoKHR, CL_INVALID_OPERATION, cl_kernel k, cl_device_id d,
	cl_kernel_sub_group_info param, size_t in_size, const void *in, size_t size, void *value,
	size_t *size_ret)

// ---- sharing with other APIs

REFUSE_NEW(cl_mem, clCreateFromGLBuffer, CL_INVALID_CONTEXT, cl_context c, cl_mem_flags flags,
	cl_GLuint object, ERR)
REFUSE_NEW(cl_mem, clCreateFromGLTexture, CL_INVALID_CONTEXT, cl_context c, cl_mem_flags flags,
	cl_GLenum target, cl_GLint level, cl_GLuint texture, ERR)
REFUSE_NEW(cl_mem, clCreateFromGLTexture2D, CL_INVALID_CONTEXT, cl_context c, cl_mem_flags flags,
	cl_GLenum target, cl_GLint level, cl_GLuint texture, ERR)
REFUSE_NEW(cl_mem, clCreateFromGLTexture3D, CL_INVALID_CONTEXT, cl_context c, cl_mem_flags flags,
	cl_GLenum target, cl_GLint level, cl_GLuint texture, ERR)
REFUSE_NEW(cl_mem, clCreateFromGLRenderbuffer, CL_INVALID_CONTEXT, cl_context c, cl_mem_flags flags,
	cl_GLuint object, ERR)
REFUSE(clGetGLObjectInfo, CL_INVALID_GL_OBJECT, cl_mem mem, cl_gl_object_type *type,
	cl_GLuint *name)
REFUSE(clGetGLTextureInfo, CL_INVALID_GL_OBJECT, cl_mem mem, cl_gl_texture_info param, size_t size,
	void *value, size_t *size_ret)
REFUSE(clEnqueueAcquireGLObjects, CL_INVALID_GL_OBJECT, cl_command_queue q, cl_uint n,
	const cl_mem *mems, WAITS)
REFUSE(clEnqueueReleaseGLObjects, CL_INVALID_GL_OBJECT, cl_command_queue q, cl_uint n,
	const cl_mem *mems, WAITS)
REFUSE(clGetGLContextInfoKHR, CL_INVALID_OPERATION, const cl_context_properties *properties,
	cl_gl_context_info param, size_t size, void *value, size_t *size_ret)
REFUSE_NEW(cl_event, clCreateEventFromGLsyncKHR, CL_INVALID_OPERATION, cl_context c, cl_GLsync sync,
	ERR)
REFUSE_NEW(cl_mem, clCreateFromEGLImageKHR, CL_INVALID_OPERATION, cl_context c,
	CLeglDisplayKHR display, CLeglImageKHR image, cl_mem_flags flags,
	const cl_egl_image_properties_khr *properties, ERR)
REFUSE(clEnqueueAcquireEGLObjectsKHR, CL_INVALID_OPERATION, cl_command_queue q, cl_uint n,
	const cl_mem *mems, WAITS)
REFUSE(clEnqueueReleaseEGLObjectsKHR, CL_INVALID_OPERATION, cl_command_queue q, cl_uint n,
	const cl_mem *mems, WAITS)
REFUSE_NEW(cl_event, clCreateEventFromEGLSyncKHR, CL_INVALID_OPERATION, cl_context c,
	CLeglSyncKHR sync, CLeglDisplayKHR display, ERR)

// ---- device fission as it was before OpenCL 1.2

REFUSE(clCreateSubDevicesEXT, CL_INVALID_VALUE, cl_device_id d,
	const cl_device_partition_property_ext *properties, cl_uint n, cl_device_id *devices,
	cl_uint *n_ret)
REFUSE(clRetainDeviceEXT, CL_SUCCESS, cl_device_id d)
REFUSE(clReleaseDeviceEXT, CL_SUCCESS, cl_device_id d)

// ---- OpenCL 2.0 and later

REFUSE_NEW(cl_mem, clCreatePipe, CL_INVALID_OPERATION, cl_context c, cl_mem_flags flags,
	cl_uint packet, cl_uint packets, const cl_pipe_properties *properties, ERR)
REFUSE(clGetPipeInfo, CL_INVALID_MEM_OBJECT, cl_mem pipe, cl_pipe_info param, size_t size,
	void *value, size_t *size_ret)
REFUSE(clGetDeviceAndHostTimer, CL_INVALID_OPERATION, cl_device_id d, cl_ulong *device_time,
	cl_ulong *host_time)
REFUSE(clGetHostTimer, CL_INVALID_OPERATION, cl_device_id d, cl_ulong *host_time)
REFUSE(clSetDefaultDeviceCommandQueue, CL_INVALID_OPERATION, cl_context c, cl_device_id d,
	cl_command_queue q)
