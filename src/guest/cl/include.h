// SPDX-License-Identifier: Apache-2.0
// A program's #include lines, resolved where its files are: in the guest. Knows text and files, no
// session.
#pragma once

#include <stdbool.h>
#include "base/buf.h"

#define INCLUDE_TEXT_MAX (32u << 20) // bytes of an expanded source

// Whether the source has an #include line at all.
bool include_present(const char *source);

// Appends the source with every file that its #include lines name put in their place, looked for as
// cpp does: beside the including file, then in the -I folders of `options`. A name may also be one
// macro around a path, with -D names in it (M2S(INCLUDE_PATH/file.h)). A line whose file is not
// there stays as it is, for the compiler to judge: it may stand in a branch that is not taken.
// What stands in a comment stays, and a file that says "#pragma once" gets a guard for it.
// -E2BIG, -ENOMEM; *out is then the caller's to free, too.
int include_expand(const char *source, const char *options, struct buf *out);
