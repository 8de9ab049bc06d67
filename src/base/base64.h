// SPDX-License-Identifier: Apache-2.0
// Base64 with padding (RFC 4648, section 4): bytes inside JSON.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// Characters for n bytes, without a terminating NUL.
#define BASE64_LEN(n) (((n) + 2) / 3 * 4)

// Writes BASE64_LEN(n) characters and a NUL.
void base64_encode(const void *bytes, size_t n, char *ret_text);
// The same, allocated; the caller frees it. NULL without memory.
char *base64_encode_new(const void *bytes, size_t n);

// Decodes `n` characters into at most `cap` bytes. Returns the bytes written; -EINVAL on anything
// but canonical base64 (no white space, padding required); -E2BIG when they do not fit.
ssize_t base64_decode(const char *text, size_t n, void *ret_bytes, size_t cap);
