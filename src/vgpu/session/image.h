// SPDX-License-Identifier: Apache-2.0
// Images: memory with a shape, whose bytes lie packed in an extent of their own, or in a buffer's. And
// samplers. Main thread only.
#pragma once

#include "vgpu/session/buffer.h"

struct image {
	struct buffer b; // must be first; parent: of a 1D buffer image
	struct image_shape shape;
	struct image_layout layout;
};

struct sampler {
	struct object o; // must be first
	struct be_sampler_state state;
	struct be_sampler *be; // NULL when it failed
};

// As buffer_new (buffer.h); `parent` NULL unless the shape is that of a 1D buffer image, which needs one
// (CL_INVALID_IMAGE_DESCRIPTOR in o.failed otherwise).
int image_new(struct session *s, uint64_t serial, uint64_t flags, const struct image_shape *shape,
	struct buffer *parent, const struct page_run *claim, struct image **ret);
int image_new_failed(struct session *s, uint64_t serial, uint64_t flags,
	const struct image_shape *shape, struct image **ret);

int sampler_new(struct session *s, uint64_t serial, const struct be_sampler_state *state,
	struct sampler **ret);
