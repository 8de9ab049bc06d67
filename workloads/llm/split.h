// SPDX-License-Identifier: Apache-2.0
// Splits text into the words within which byte-pair merges happen, as published tokenizers do with
// regular expressions. Knows Unicode classes, no vocabulary.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum unicode_class { UNICODE_OTHER, UNICODE_LETTER, UNICODE_NUMBER, UNICODE_SPACE };

struct unicode_range {
	uint32_t first, last;
	enum unicode_class kind;
};

// In order; made at build time.
extern const struct unicode_range unicode_ranges[];
extern const unsigned unicode_range_count;

enum unicode_class unicode_class_of(uint32_t code);

// How published models split ("tokenizer.ggml.pre").
enum split_style {
	// GPT-2: 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
	SPLIT_GPT2,
	// The same after every number has been set apart (SmolLM).
	SPLIT_DIGITS,
	// Llama 3: (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|
	// ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
	SPLIT_LLAMA3,
	// The same with one number a word (Qwen 2).
	SPLIT_QWEN2,
};

// The bytes of the first word of `len` bytes of text (at least one).
size_t split_word(enum split_style style, const char *text, size_t len);
