// SPDX-License-Identifier: Apache-2.0
// Runs several sequences through one network at once: continuous batching over a paged KV cache.
// Each pass takes one token of every sequence that generates and fills up with prompt tokens; a
// sequence may join or leave between any two passes. A sequence that ends leaves its cache behind
// for a later prompt that begins with the same tokens, until the room is needed. Knows no HTTP.
#pragma once

#include <stdbool.h>

#include "forward.h"
#include "sampler.h"

#define PASSES_AHEAD 2 // in flight at most, the one that is waited for included

enum sequence_state {
	SEQUENCE_FREE,
	SEQUENCE_WARM, // ended; its cache can be taken over
	SEQUENCE_RUNNING,
};

struct sequence {
	enum sequence_state state;
	uint64_t number;  // of the start, from 1: tells apart what used this place in turn
	uint64_t used_at; // number of the last end: the warm one with the lowest is dropped first
	bool paused;      // its client reads too slowly
	int32_t *tokens;  // known ones, prompt first; those beyond a context are not kept
	uint32_t n_tokens;
	int32_t newest;                   // of them
	uint32_t n_prompt, reused;        // prompt tokens, and those found in the cache
	uint64_t fed;                     // tokens enqueued
	uint32_t wanted, enqueued, taken; // sampled tokens
	uint32_t n_pages;
	int32_t *pages; // of the cache
	struct sampling sampling;
};

// A pass in flight.
struct pass {
	struct pass_record record;
	uint64_t numbers[MAX_SEQUENCES]; // of the sequence of each output
	int32_t landing[MAX_SEQUENCES];  // greedy tokens, by sequence
	cl_event done;
};

struct scheduler {
	struct forward *forward;
	struct sequence sequences[MAX_SEQUENCES];
	struct pass passes[PASSES_AHEAD];
	uint64_t enqueued, collected; // passes ever
	uint64_t started, ended;      // sequences ever
	uint64_t prompt_tokens_computed, prompt_tokens_reused;
	int32_t *free_pages;
	uint32_t n_free, n_pages;
	float *logits; // of the outputs that are sampled on the host
	struct candidate *candidates;
};

struct scheduled_token {
	unsigned sequence;
	int32_t token;
	bool last; // the sequence has all that was wanted
};

// `fw` must outlive it.
int scheduler_init(struct scheduler *s, struct forward *fw, struct failure *f);

// Starts a sequence of `n` prompt tokens that yields `wanted` tokens. Copies the prompt. -EINVAL if
// the prompt is empty, longer than the context, or has an id outside the vocabulary; -EAGAIN if
// there is no room until another ends.
int scheduler_start(struct scheduler *s, const int32_t *prompt, uint32_t n, uint32_t wanted,
	const struct sampling *sampling, unsigned *ret_sequence, struct failure *f);

// Ends a sequence at any point. What is in flight for it is dropped when it arrives.
void scheduler_end(struct scheduler *s, unsigned sequence);

// A paused sequence gets no more passes.
void scheduler_pause(struct scheduler *s, unsigned sequence, bool paused);

// True if scheduler_step() has something to do.
bool scheduler_busy(const struct scheduler *s);

// Keeps passes in flight and waits for the oldest. Returns the number of tokens that it brought
// into ret[MAX_SEQUENCES], or a negative errno.
int scheduler_step(struct scheduler *s, struct scheduled_token *ret, struct failure *f);

// Tokens in the cache, of those that run and those that are warm.
uint64_t scheduler_cached(const struct scheduler *s, enum sequence_state state);

// Waits for what is in flight. NULL-safe on a zeroed object.
void scheduler_free(struct scheduler *s);
