// SPDX-License-Identifier: Apache-2.0
// Adding one answer to hello_host's info items.
#pragma once

#include "vgpu/backend/cl_backend.h"

void info_put(struct buf *items, uint32_t kind, uint32_t param, const void *value, size_t n);
void info_put_text(struct buf *items, uint32_t kind, uint32_t param, const char *text);
// Whether the word is one of those, which spaces separate.
bool info_has_word(const char *words, const char *word);
// As the host's driver gives it; nothing where that has no answer.
void info_put_device(struct cl_backend *b, struct buf *items, cl_device_info param);
