// SPDX-License-Identifier: Apache-2.0
// Findings of a check, for people.
#pragma once

#include <stdio.h>
#include <jansson.h>

void findings_print(const json_t *findings, FILE *out);
