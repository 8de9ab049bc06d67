// SPDX-License-Identifier: Apache-2.0
// The framebuffer: a flat, sparse space of 4 KiB pages, four times the profile's size, in one memfd
// with exactly one shared mapping (a tracker sees only writes through it); buffers are extents in
// it. Knows pages and extents; knows no sockets, no OpenCL.
//
// Threads: extents are allocated, freed and looked up on one thread (the main loop's). Others may
// read and write memory through the base pointer, call page_space_populate(), page_space_zero() and
// page_space_next_data(), and work on a copy of the extents that the main thread made for them.
//
// Freed extents and a transfer in rounds. Freeing punches the memory out, which no tracker sees, so
// while frees are noted (page_space_note_frees) each one is also kept in a bitmap. The round's plan
// (round_plan.h) is made on the main thread from that bitmap and the tracker's scan together, and
// names each page at most once; it is the only source of records. Therefore:
// - a FREE never races with the same page's PAGES on another channel: one round has one of the two;
// - an extent freed during a round is read by a mover as old bytes, zeros, or a mixture, and sent
//   as such; the free stands in the bitmap for the next plan, and its FREE (or the new owner's
//   PAGES) comes after this round's barrier, so it wins;
// - pages freed and given to a new buffer in one round were punched in between: whatever the new
//   owner has written is seen by the tracker (the page tables' entries are gone or still armed),
//   what it has not written is zero, which is what the FREE makes of it at the destination;
// - a mover that reads a freed page populates it with zeros; the plan punches pages that are still
//   free again, so such memory is held for one round at most.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "pages/bitmap.h"
#include "pages/extent_tree.h"

#define PAGE_BYTES       4096u
#define PAGE_SPACE_TIMES 4            // the space's size in profiles (DESIGN, "Framebuffer")
#define PAGE_SPACE_MAX   (1ULL << 40) // bytes of a profile

// Where a page space is mapped if it can be, the same on every host: what kernels and guests store as
// pointers into it (shared virtual memory) is then right after a move. 64 TiB: in the user addresses of
// x86-64 (47 bits) and aarch64 (48), with room for the largest space; far above what programs that
// are not position-independent and below what mmap(2), the heap and position-independent programs get;
// outside AddressSanitizer's shadow on both (it ends at 16 and 32 TiB) and its allocator (from 80 TiB).
// ThreadSanitizer wants a program's memory in three ranges of its own, of which the lowest is free.
#if defined(__SANITIZE_THREAD__)
#define PAGE_SPACE_BASE 0x1000000000ULL
#else
#define PAGE_SPACE_BASE 0x400000000000ULL
#endif

struct page_space;

// `memory_bytes` is the profile's size and the quota: a multiple of PAGE_BYTES, at most
// PAGE_SPACE_MAX. Nothing is committed yet.
int page_space_new(uint64_t memory_bytes, struct page_space **ret, struct ferry_error *e);
// Unmaps; whoever still reads through the base pointer must be gone. NULL-safe, returns NULL.
struct page_space *page_space_close(struct page_space *s);

uint8_t *page_space_base(const struct page_space *s); // 2 MiB aligned, valid until close
// Whether that is PAGE_SPACE_BASE: one space of a process at a time, the first.
bool page_space_is_fixed(const struct page_space *s);
void *page_space_at(const struct page_space *s, uint64_t page);
uint64_t page_space_pages(const struct page_space *s); // of the whole space
// The memfd, for a local program to map; valid until close. Its size is sealed, so that whoever has it
// cannot take memory away under our feet (SIGBUS). No tracker sees what others write to it.
int page_space_fd(const struct page_space *s);
uint64_t page_space_quota_bytes(const struct page_space *s);
uint64_t page_space_allocated_bytes(const struct page_space *s);
uint64_t page_space_extents(const struct page_space *s); // how many are allocated
// Grows with every change of the set of extents.
uint64_t page_space_generation(const struct page_space *s);

// A new extent of at least `bytes` (rounded up to pages), which reads as zero. From 64 KiB it is
// 64 KiB aligned where that is possible, from 2 MiB 2 MiB. -ENOSPC "over-quota" beyond the quota,
// "fragmented" when no hole is large enough; -EINVAL for 0 bytes.
int page_space_alloc(
	struct page_space *s, uint64_t bytes, struct page_run *ret, struct ferry_error *e);
// Allocates exactly `run`, without touching its memory (an incoming object's extent: its pages may
// already have arrived). -EEXIST "extent-taken" when part of it is allocated, -EINVAL out of
// bounds.
int page_space_claim(struct page_space *s, struct page_run run, struct ferry_error *e);
// Frees the extent that starts at `first`: its memory is handed back. -ENOENT when there is none.
int page_space_free(struct page_space *s, uint64_t first);

// The extent that holds `page`.
bool page_space_find(const struct page_space *s, uint64_t page, struct page_run *ret);
// The first extent that starts at or after `page`: for (p = 0; next(s, p, &r); p =
// page_run_end(r)).
bool page_space_next(const struct page_space *s, uint64_t page, struct page_run *ret);

// While on, frees are noted in page_space_freed(). Turning it on or off forgets those noted.
void page_space_note_frees(struct page_space *s, bool on);
// The pages freed since noting began or the bitmap was cleared; the caller may change it.
struct bitmap *page_space_freed(struct page_space *s);

// While incoming, a free only forgets the extent: the pages of a new owner may already have
// arrived, so memory is zeroed by the source's FREE records alone.
void page_space_set_incoming(struct page_space *s, bool on);
bool page_space_is_incoming(const struct page_space *s);

// Makes pages zero by punching them out (madvise(2), MADV_REMOVE). Trackers do not see it.
int page_space_zero(struct page_space *s, struct page_run run);
// The first part of `within` that has memory behind it (lseek(2), SEEK_DATA): all else reads as
// zero and should not be read, which would commit it. False when there is none.
bool page_space_next_data(const struct page_space *s, struct page_run within, struct page_run *ret);
// Commits memory for pages ahead of use (MADV_POPULATE_WRITE, contents unchanged), 16 MiB at a
// time; ends early with -ECANCELED when *stop (may be NULL) becomes true. To be called before
// trackers arm.
int page_space_populate(struct page_space *s, struct page_run run, const atomic_bool *stop);
