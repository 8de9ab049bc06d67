// SPDX-License-Identifier: Apache-2.0
// A trained network as a GGUF file that any reader of the architecture "llama" understands.
#pragma once

#include "trainer.h"

// Writes a model called `name` to `path` with the vocabulary of tokenizer.py's file. Matrices have type "q8_0", "f16" or "f32"
// (their gains are F32).
int export_gguf(struct trainer *t, const char *path, const char *name, const char *vocabulary,
	const char *type, struct failure *f);
