// SPDX-License-Identifier: Apache-2.0
// For tests: a guest that makes, builds and launches programs on the device of noting_backend.h, and moves
// with them. Objects 1 to 3 are a context, a queue and a buffer; 99 is a kernel.
#pragma once

#include "vgpu/testing/noting_backend.h"
#include "vgpu/testing/testclient.h"
#include "vgpu/testing/testvgpu.h"

struct run {
	struct testvgpu t;
	struct buf out; // as a testclient has it: for SEND
	uint32_t seq;
};

void run_begin(struct run *r);
void run_end(struct run *r);

// Lets the vGPU have what was sent.
void run_feed(struct run *r);
// The same, up to the answer of `seq`: its status.
int32_t run_answer(struct run *r, uint32_t seq);

void run_source(struct run *r, uint32_t id, const char *text);
uint32_t run_build(struct run *r, uint32_t id, const char *options);
uint32_t run_compile(struct run *r, uint32_t id, const char *options);
uint32_t run_link(struct run *r, uint32_t id, struct p_ids parts);
// Program 10 of the parts 11 and 12, as hashcat does it: the parts are let go of at once.
void run_link_of_two(struct run *r);
uint32_t run_new_kernel(struct run *r, uint32_t program);
// What a kernel of this program is made of that is made now and launched with this local size.
const char *runs_as(struct run *r, uint32_t program, uint64_t local);
const char *runs(struct run *r, uint32_t program);

// Its state goes to a vGPU that does not own it yet, and what is built on the way is counted from zero. In two
// collections, with meanwhile(r) between them when not NULL.
void run_leave(struct run *r, struct testvgpu *to, void (*meanwhile)(struct run *r));
void run_arrive(struct run *r, struct testvgpu *to);
void run_move(struct run *r);
// Begins with the part 11, compiled with "a", on a vGPU that it has moved to.
void run_begin_with_moved_part(struct run *r);
