// SPDX-License-Identifier: Apache-2.0
// Kernels and their arguments. Arguments arrive with launches, as changes; a launch that must wait
// keeps the set as it was, and the next change then makes a copy. Main thread only.
#pragma once

#include "base/buf.h"
#include "vgpu/backend/backend.h"
#include "vgpu/session/object.h"
#include "vgpu/protocol/protocol.h"

#define KERNEL_ARGS_MAX 4096
#define KERNEL_SHAPES   64 // shapes of launches remembered

#define KERNEL_FITS_UNKNOWN 1 // no OpenCL status: those are errors or CL_SUCCESS

struct program;

struct arg {
	uint32_t kind;    // PROTO_ARG_*
	uint32_t bytes;   // of BYTES and LOCAL
	uint64_t version; // grows with every change; 0: never set
	uint64_t offset;  // SVM: in the allocation
	union {
		uint64_t serial; // BUFFER (0 is NULL), IMAGE, SAMPLER, SVM
		uint8_t small[16];
		uint8_t *large; // more than 16 bytes; owned
	} value;
};

struct arg_set {
	uint32_t refs, n;
	struct arg args[];
};

struct kernel {
	struct object o;         // must be first
	struct program *program; // a reference
	struct be_kernel *be;    // NULL when it failed, or is not made yet (an incoming one)
	char *name;
	struct arg_set *args; // as of the last message; NULL when it failed
	uint64_t versions;    // the last one given out
	uint64_t *applied;    // versions that the device's kernel has, by index
	int8_t *kinds;        // what each argument must be: PROTO_ARG_*, -1: not supported
	int32_t fits;         // kernel_fits() of what is applied, or KERNEL_FITS_UNKNOWN
	uint64_t shapes[KERNEL_SHAPES]; // of its launches
	uint32_t n_shapes;
	uint64_t *svm; // serials of what its launches reach by pointers, besides arguments
	uint32_t n_svm;
	bool busy; // being launched on the worker's thread: not to be touched
};

// The first reference is the caller's; -errno. What the device refuses is in o.failed.
int kernel_new(struct program *p, uint64_t serial, const char *name, struct kernel **ret);
// Makes the device's kernel, when the program is built (an incoming kernel before its first use).
void kernel_make(struct kernel *k);

// Applies arg items to the current set. 0, -ENOMEM, or -EBADMSG: an index or object that is not.
int kernel_change_args(struct kernel *k, struct session *s, struct p_blob items);
// The same for what launches reach by pointers.
int kernel_change_svm(struct kernel *k, struct session *s, const struct p_ids *allocations);
// Takes over the list, which is on the heap.
void kernel_set_svm(struct kernel *k, uint64_t *serials, uint32_t n);
// Sets what differs on the device's kernel. CL_SUCCESS or why not.
int32_t kernel_apply_args(struct kernel *k, const struct arg_set *set);
// A hash of what the driver specialises this launch's code for: the kernel and, for a driver that
// compiles at the first launch (PoCL does, for seconds), the local size, whether there is an offset,
// and whether the groups are few.
uint64_t kernel_shape(const struct kernel *k, const struct be_launch *how);
// True when the driver may have to compile for a launch of this shape: the kernel had none yet, and its
// program has no code for it.
bool kernel_note_shape(struct kernel *k, uint64_t shape);

const uint8_t *arg_bytes(const struct arg *a);      // of BYTES
struct arg_set *arg_set_new(uint32_t n);            // one reference
struct arg_set *arg_set_unref(struct arg_set *set); // NULL-safe, returns NULL
// What the argument names: OBJECT_BUFFER (SVM too), _IMAGE, _SAMPLER by its kind; 0 for what names nothing.
enum object_type arg_object_type(uint32_t kind);
int arg_set_bytes(struct arg *a, const void *bytes, size_t n); // makes it BYTES; 0 or -ENOMEM
