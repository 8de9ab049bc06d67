// SPDX-License-Identifier: Apache-2.0
// SANITIZED: 1 in a build with a sanitizer that traces its own process and keeps what was freed.
#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif
