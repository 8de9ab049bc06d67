// SPDX-License-Identifier: Apache-2.0
// What a fuzzer here gives to libFuzzer, or to driver.c where there is none.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"

// libFuzzer's entry; returns 0. What must not be is an abort.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Only for driver.c: appends an input that is likely to get somewhere, from rand(3).
void fuzz_make_input(struct buf *b);
