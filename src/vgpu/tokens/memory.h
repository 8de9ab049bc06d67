// SPDX-License-Identifier: Apache-2.0
// The memory that all ferry-vgpus of a host share for their turns: a sealed memfd that ferryd makes
// once, hands to each, and takes back from one of them after its own restart. Every field is a hint
// from processes that may be hostile: readers bound each value, and never wait on it alone. What is
// certain is who is there: each process holds a record lock (fcntl(2), F_SETLK) on the byte of its
// slot's number, which the kernel lets go when the process ends.
#pragma once

#include <stdatomic.h>
#include <stdint.h>
#include "base/error.h"
#include "vgpu/tokens/turns.h"

#define TOKENS_MAGIC 0x59524546u // "FERY"
#define TOKENS_BYTES 8192

struct tokens_slot {
	_Alignas(64) _Atomic int64_t used_ns; // virtual time; its vGPU writes
	_Atomic uint32_t wake;                // a futex(2): changed when the turn is passed to it
};

struct tokens_memory {
	uint32_t magic;
	_Atomic uint32_t policy; // enum turns_policy; ferryd writes
	// Bits: one for each slot.
	_Alignas(64) _Atomic uint64_t
		holder; // low byte: slot + 1, 0: nobody; above: a count of changes
	_Atomic uint64_t claimed;
	_Atomic uint64_t waiting;
	_Atomic uint64_t busy;
	struct tokens_slot slots[TURNS_MAX];
};
_Static_assert(sizeof(struct tokens_memory) <= TOKENS_BYTES, "the shared memory is too small");

// A new one; its descriptor, or -errno.
int tokens_memory_new(struct ferry_error *e);
// Maps a descriptor that anybody may have made: its size must be sealed, so that no access can fault
// (SIGBUS). NULL: it is none.
struct tokens_memory *tokens_memory_map(int fd, struct ferry_error *e);
void tokens_memory_unmap(struct tokens_memory *m); // NULL-safe

// "best-effort", "equal-share", "fixed-share".
const char *turns_policy_name(enum turns_policy p);
int turns_policy_parse(const char *name, enum turns_policy *ret); // 0 or -EINVAL
