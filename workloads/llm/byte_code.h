// SPDX-License-Identifier: Apache-2.0
// The character that byte-pair vocabularies write for a byte (GPT-2's encoder.py): printable ones of
// Latin-1 for themselves, the others from U+0100 on.
#pragma once

#include <stdint.h>

uint32_t code_of_byte(unsigned byte);
int byte_of_code(uint32_t code); // -1: of none
