// SPDX-License-Identifier: Apache-2.0
#include "pages/bitmap.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

static size_t bytes_of(const struct bitmap *b)
{
	return (b->bits + 63) / 64 * 8;
}

int bitmap_init(struct bitmap *b, uint64_t bits)
{
	*b = (struct bitmap){ .bits = bits, .low = bits };
	b->words = mmap(NULL, bytes_of(b), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (b->words == MAP_FAILED) {
		b->words = NULL;
		return -errno;
	}
	return 0;
}

void bitmap_destroy(struct bitmap *b)
{
	if (b->words)
		munmap(b->words, bytes_of(b));
	*b = (struct bitmap){ 0 };
}

void bitmap_clear_all(struct bitmap *b)
{
	if (b->low < b->high)
		madvise(b->words, bytes_of(b), MADV_DONTNEED); // private: reads as zero again
	b->low = b->bits;
	b->high = 0;
}

// The bits of [bit, end) that lie in bit's word.
static uint64_t mask_of(uint64_t bit, uint64_t end)
{
	uint64_t mask = ~0ULL << (bit % 64);

	if (end / 64 == bit / 64)
		mask &= (1ULL << (end % 64)) - 1;
	return mask;
}

static uint64_t next_word(uint64_t bit)
{
	return (bit / 64 + 1) * 64;
}

void bitmap_set(struct bitmap *b, struct page_run run)
{
	uint64_t end = page_run_end(run);

	if (!run.count)
		return;
	for (uint64_t bit = run.first; bit < end; bit = next_word(bit))
		b->words[bit / 64] |= mask_of(bit, end);
	if (run.first < b->low)
		b->low = run.first;
	if (end > b->high)
		b->high = end;
}

void bitmap_clear(struct bitmap *b, struct page_run run)
{
	uint64_t end = page_run_end(run);

	for (uint64_t bit = run.first; bit < end; bit = next_word(bit))
		b->words[bit / 64] &= ~mask_of(bit, end);
}

void bitmap_set_shared(struct bitmap *b, uint64_t bit)
{
	__atomic_fetch_or(&b->words[bit / 64], 1ULL << (bit % 64), __ATOMIC_RELAXED);
}

void bitmap_expect_all(struct bitmap *b)
{
	b->low = 0;
	b->high = b->bits;
}

bool bitmap_test(const struct bitmap *b, uint64_t bit)
{
	return b->words[bit / 64] >> (bit % 64) & 1;
}

// The first bit in [from, end) of that value, or end.
static uint64_t find(const struct bitmap *b, uint64_t from, uint64_t end, bool value)
{
	for (uint64_t bit = from; bit < end; bit = next_word(bit)) {
		uint64_t word = value ? b->words[bit / 64] : ~b->words[bit / 64];

		word &= mask_of(bit, end);
		if (word)
			return bit / 64 * 64 + (uint64_t)__builtin_ctzll(word);
	}
	return end;
}

bool bitmap_next_run(const struct bitmap *b, uint64_t from, uint64_t end, struct page_run *ret)
{
	if (from < b->low)
		from = b->low;
	if (end > b->high)
		end = b->high;
	if (from >= end)
		return false;
	from = find(b, from, end, true);
	if (from == end)
		return false;
	*ret = (struct page_run){ from, find(b, from, end, false) - from };
	return true;
}

uint64_t bitmap_count(const struct bitmap *b, uint64_t from, uint64_t end)
{
	uint64_t n = 0;

	if (from < b->low)
		from = b->low;
	if (end > b->high)
		end = b->high;
	for (uint64_t bit = from; bit < end; bit = next_word(bit))
		n += (uint64_t)__builtin_popcountll(b->words[bit / 64] & mask_of(bit, end));
	return n;
}
