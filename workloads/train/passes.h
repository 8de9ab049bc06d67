// SPDX-License-Identifier: Apache-2.0
// The launches of a pass: which kernel reads and writes which buffer, in order. Knows no more of a
// buffer than its place in struct network.
#pragma once

#include "network.h"

// Fills n->forward, n->loss and n->backward. All buffers and the program are made.
int passes_plan(struct network *n, struct failure *f);
