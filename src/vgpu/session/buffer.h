// SPDX-License-Identifier: Apache-2.0
// Contexts (a name and nothing else: see cl_backend.h), buffers (an extent of the page space) and
// sub-buffers. An image (image.h) begins with a buffer, which is all that transfers and copies look at.
// Main thread only.
#pragma once

#include "pages/page_space.h"
#include "vgpu/backend/backend.h"
#include "vgpu/session/object.h"

struct context {
	struct object o; // must be first
};

struct buffer {
	struct object o; // must be first
	uint64_t flags;  // as the guest gave them, without those about host pointers
	uint64_t size;
	uint64_t svm;          // shared virtual memory: its address; 0: it is none
	struct buffer *parent; // of a sub-buffer or a 1D buffer image: a reference
	uint64_t origin;       // in the parent
	struct page_run run;   // count 0 with a parent, or when the allocation failed
	struct be_mem *mem;    // NULL when it failed
};

// `serial` 0: the next one. The first reference is the caller's. Results are -errno; what the device
// refuses is in o.failed, and the object is there nevertheless.
int context_new(struct session *s, uint64_t serial, struct context **ret);
// `claim` NULL: a new extent; otherwise exactly that one (an incoming buffer's).
int buffer_new(struct session *s, uint64_t serial, uint64_t flags, uint64_t size,
	const struct page_run *claim, struct buffer **ret);
// One whose allocation failed at the source.
int buffer_new_failed(
	struct session *s, uint64_t serial, uint64_t flags, uint64_t size, struct buffer **ret);
// Shared virtual memory, otherwise as buffer_new(). -EOPNOTSUPP for a claim where the device has none.
int buffer_new_svm(struct session *s, uint64_t serial, uint64_t flags, uint64_t size,
	const struct page_run *claim, struct buffer **ret);
int buffer_new_sub(struct buffer *parent, uint64_t serial, uint64_t flags, uint64_t origin,
	uint64_t size, struct buffer **ret);

// For image.c: an object of `struct_bytes` that begins with a buffer; then its extent, where a refusal
// is in o.failed.
int buffer_make(struct session *s, uint64_t serial, enum object_type type, size_t struct_bytes,
	uint64_t flags, uint64_t size, struct buffer **ret);
int buffer_place(struct buffer *b, const struct page_run *claim);

// Whether [offset, offset + n) lies inside; n > 0.
bool buffer_holds(const struct buffer *b, uint64_t offset, uint64_t n);
