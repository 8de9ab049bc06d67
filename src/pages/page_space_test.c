// SPDX-License-Identifier: Apache-2.0
#include "pages/page_space.h"

#include <errno.h>
#include <unistd.h>
#include "base/test.h"

#define MIB (1u << 20)

static struct page_space *open_space(uint64_t bytes)
{
	struct page_space *s = NULL;

	CHECK_EQ(page_space_new(bytes, &s, NULL), 0);
	return s;
}

static void sizes_are_checked(void)
{
	struct page_space *s = NULL;
	struct ferry_error e = FERRY_ERROR_INIT;

	CHECK_EQ(page_space_new(0, &s, &e), -EINVAL);
	CHECK_STR(e.code, "bad-size");
	CHECK_EQ(page_space_new(PAGE_BYTES + 1, &s, NULL), -EINVAL);
	CHECK_EQ(page_space_new(PAGE_SPACE_MAX + PAGE_BYTES, &s, NULL), -EINVAL);
	CHECK(!s);
	s = open_space(4 * MIB);
	CHECK_EQ(page_space_pages(s), 4096);
	CHECK_EQ((uintptr_t)page_space_base(s) % (2 * MIB), 0);
	page_space_close(s);
}

static void quota_counts_whole_pages(void)
{
	struct page_space *s = open_space(2 * PAGE_BYTES);
	struct ferry_error e = FERRY_ERROR_INIT;
	struct page_run a, b;

	CHECK_EQ(page_space_alloc(s, 0, &a, NULL), -EINVAL);
	CHECK_EQ(page_space_alloc(s, 1, &a, NULL), 0);
	CHECK_EQ(page_space_alloc(s, UINT64_MAX, &b, NULL), -ENOSPC);
	CHECK_EQ(page_space_alloc(s, PAGE_BYTES + 1, &b, &e), -ENOSPC);
	CHECK_STR(e.code, "over-quota");
	CHECK_EQ(page_space_alloc(s, PAGE_BYTES, &b, NULL), 0);
	CHECK_EQ(page_space_allocated_bytes(s), 2 * PAGE_BYTES);
	CHECK_EQ(page_space_free(s, a.first), 0);
	CHECK_EQ(page_space_free(s, a.first), -ENOENT);
	CHECK_EQ(page_space_allocated_bytes(s), PAGE_BYTES);
	page_space_close(s);
}

static void large_extents_are_aligned(void)
{
	struct page_space *s = open_space(64 * MIB);
	struct page_run r;

	CHECK_EQ(page_space_alloc(s, 1, &r, NULL), 0);
	CHECK_EQ(page_space_alloc(s, 65536, &r, NULL), 0);
	CHECK_EQ(r.first % 16, 0);
	CHECK_EQ(page_space_alloc(s, 5 * MIB, &r, NULL), 0);
	CHECK_EQ(r.first % 512, 0);
	page_space_close(s);
}

static void freed_memory_is_noted_and_zero(void)
{
	struct page_space *s = open_space(1 * MIB);
	struct page_run a, b, run;

	page_space_note_frees(s, true);
	CHECK_EQ(page_space_alloc(s, 8 * PAGE_BYTES, &a, NULL), 0);
	memset(page_space_at(s, a.first), 0x5a, 8 * PAGE_BYTES);
	CHECK(page_space_next_data(s, (struct page_run){ 0, page_space_pages(s) }, &run));
	CHECK_EQ(run.count, 8);
	CHECK_EQ(page_space_free(s, a.first), 0);
	CHECK(!page_space_next_data(s, (struct page_run){ 0, page_space_pages(s) }, &run));
	CHECK(bitmap_next_run(page_space_freed(s), 0, page_space_pages(s), &run));
	CHECK_EQ(run.first, a.first);
	CHECK_EQ(run.count, 8);
	CHECK_EQ(page_space_alloc(s, 8 * PAGE_BYTES, &b, NULL), 0);
	CHECK_EQ(b.first, a.first);
	for (size_t i = 0; i < 8 * PAGE_BYTES; i++)
		CHECK_EQ(((uint8_t *)page_space_at(s, b.first))[i], 0);
	page_space_note_frees(s, false);
	CHECK(!bitmap_next_run(page_space_freed(s), 0, page_space_pages(s), &run));
	page_space_close(s);
}

static void incoming_claims_keep_memory(void)
{
	struct page_space *s = open_space(1 * MIB);
	struct page_run run = { 100, 4 };
	uint8_t *p = page_space_at(s, 100);

	page_space_set_incoming(s, true);
	p[0] = 7;
	CHECK_EQ(page_space_claim(s, run, NULL), 0);
	CHECK_EQ(page_space_claim(s, (struct page_run){ 103, 1 }, NULL), -EEXIST);
	CHECK_EQ(page_space_claim(s, (struct page_run){ 99, 2 }, NULL), -EEXIST);
	CHECK_EQ(page_space_claim(s, (struct page_run){ 1023, 2 }, NULL), -EINVAL);
	CHECK_EQ(page_space_claim(s, (struct page_run){ 1, UINT64_MAX }, NULL), -EINVAL);
	CHECK_EQ(page_space_claim(s, (struct page_run){ 5, 0 }, NULL), -EINVAL);
	CHECK_EQ(page_space_claim(s, (struct page_run){ 0, 253 }, NULL), -ENOSPC);
	CHECK_EQ(page_space_free(s, 100), 0);
	CHECK_EQ(page_space_claim(s, run, NULL), 0);
	CHECK_EQ(p[0], 7);
	page_space_set_incoming(s, false);
	CHECK_EQ(page_space_free(s, 100), 0);
	CHECK_EQ(p[0], 0);
	page_space_close(s);
}

static void populate_commits_and_stops(void)
{
	struct page_space *s = open_space(1 * MIB);
	struct page_run run;
	atomic_bool stop = true;

	CHECK_EQ(page_space_populate(s, (struct page_run){ 3, 5 }, &stop), -ECANCELED);
	CHECK_EQ(page_space_populate(s, (struct page_run){ 3, 5 }, NULL), 0);
	CHECK(page_space_next_data(s, (struct page_run){ 0, 100 }, &run));
	CHECK_EQ(run.first, 3);
	CHECK_EQ(run.count, 5);
	page_space_close(s);
}

// Random allocations and frees against an array with one owner per page.
#define MODEL_PAGES 512
#define MODEL_SPACE (PAGE_SPACE_TIMES * MODEL_PAGES)

static void check_model(const struct page_space *s, const int *owner)
{
	uint64_t seen = 0, used = 0;
	struct page_run r;

	for (uint64_t p = 0; page_space_next(s, p, &r); p = page_run_end(r)) {
		CHECK(owner[r.first] && r.first >= p);
		for (uint64_t i = r.first; i < page_run_end(r); i++)
			CHECK_EQ(owner[i], owner[r.first]);
		CHECK(page_run_end(r) == MODEL_SPACE || owner[page_run_end(r)] != owner[r.first]);
		seen += r.count;
	}
	for (size_t i = 0; i < MODEL_SPACE; i++) {
		used += owner[i] != 0;
		CHECK_EQ(page_space_find(s, i, &r), owner[i] != 0);
	}
	CHECK_EQ(seen, used);
	CHECK_EQ(page_space_allocated_bytes(s), used * PAGE_BYTES);
}

static void random_operations_match_a_model(void)
{
	struct page_space *s = open_space(MODEL_PAGES * PAGE_BYTES);
	static int owner[MODEL_SPACE];
	uint64_t used = 0;

	srand(7);
	for (int step = 1; step < 3000; step++) {
		uint64_t pages = 1 + (uint64_t)rand() % (rand() % 8 ? 8 : 100);
		uint64_t at = (uint64_t)rand() % MODEL_SPACE;
		struct page_run r;

		if (rand() % 2) {
			bool fits = used + pages <= MODEL_PAGES;

			CHECK_EQ(page_space_alloc(s, pages * PAGE_BYTES, &r, NULL) == 0, fits);
			for (uint64_t i = 0; fits && i < pages; i++, used++) {
				CHECK_EQ(owner[r.first + i], 0);
				owner[r.first + i] = step;
			}
		} else if (page_space_find(s, at, &r)) {
			CHECK_EQ(page_space_free(s, r.first), 0);
			used -= r.count;
			for (uint64_t i = 0; i < r.count; i++)
				owner[r.first + i] = 0;
		}
		if (step % 50 == 0)
			check_model(s, owner);
	}
	page_space_close(s);
}

static void holes_are_joined_again(void)
{
	struct page_space *s = open_space(MODEL_PAGES * PAGE_BYTES);
	struct page_run r[MODEL_PAGES], all = { 0, MODEL_PAGES };

	for (size_t i = 0; i < MODEL_PAGES; i++)
		CHECK_EQ(page_space_alloc(s, PAGE_BYTES, &r[i], NULL), 0);
	for (size_t i = 0; i < MODEL_PAGES; i++)
		CHECK_EQ(page_space_free(s, r[i * 37 % MODEL_PAGES].first), 0);
	CHECK_EQ(page_space_claim(s, all, NULL), 0);
	CHECK_EQ(page_space_extents(s), 1);
	page_space_close(s);
}

static void bitmap_runs(void)
{
	struct bitmap b;
	struct page_run r;

	CHECK_EQ(bitmap_init(&b, 1000), 0);
	CHECK(!bitmap_next_run(&b, 0, 1000, &r));
	bitmap_set(&b, (struct page_run){ 63, 130 });
	bitmap_set(&b, (struct page_run){ 999, 1 });
	CHECK_EQ(bitmap_count(&b, 0, 1000), 131);
	CHECK(bitmap_next_run(&b, 0, 1000, &r));
	CHECK_EQ(r.first, 63);
	CHECK_EQ(r.count, 130);
	CHECK(bitmap_next_run(&b, 100, 128, &r));
	CHECK_EQ(r.first, 100);
	CHECK_EQ(r.count, 28);
	CHECK(bitmap_next_run(&b, 193, 1000, &r));
	CHECK_EQ(r.first, 999);
	bitmap_clear(&b, (struct page_run){ 64, 128 });
	CHECK(bitmap_test(&b, 63) && !bitmap_test(&b, 64) && bitmap_test(&b, 192));
	CHECK_EQ(bitmap_count(&b, 0, 1000), 3);
	bitmap_clear_all(&b);
	CHECK_EQ(bitmap_count(&b, 0, 1000), 0);
	bitmap_destroy(&b);
}

// Whoever has the descriptor could else take the memory away while it is read.
static void its_size_is_sealed(void)
{
	struct page_space *s;

	CHECK_EQ(page_space_new(4 * PAGE_BYTES, &s, NULL), 0);
	CHECK(ftruncate(page_space_fd(s), 0) < 0 && errno == EPERM);
	CHECK(ftruncate(page_space_fd(s), 1 << 20) < 0 && errno == EPERM);
	page_space_close(s);
}

// One space of a process has the address at which pointers stay right; others lie elsewhere and work.
static void the_first_has_the_fixed_address(void)
{
	struct page_space *first = open_space(4 * MIB), *second = open_space(4 * MIB);

	CHECK(page_space_is_fixed(first));
	CHECK_EQ((uintptr_t)page_space_base(first), PAGE_SPACE_BASE);
	CHECK(!page_space_is_fixed(second));
	*page_space_base(second) = 1;
	CHECK_EQ(*page_space_base(first), 0);
	page_space_close(first);
	first = open_space(4 * MIB);
	CHECK(page_space_is_fixed(first));
	page_space_close(first);
	page_space_close(second);
}

// As large as one can be, which reserves no memory. ThreadSanitizer has no room for it anywhere.
static void the_largest_has_it_too(void)
{
#if !defined(__SANITIZE_THREAD__)
	struct page_space *s = open_space(PAGE_SPACE_MAX);

	CHECK(page_space_is_fixed(s));
	page_space_close(s);
#endif
}

int main(void)
{
	RUN(sizes_are_checked);
	RUN(its_size_is_sealed);
	RUN(the_first_has_the_fixed_address);
	RUN(the_largest_has_it_too);
	RUN(quota_counts_whole_pages);
	RUN(large_extents_are_aligned);
	RUN(freed_memory_is_noted_and_zero);
	RUN(incoming_claims_keep_memory);
	RUN(populate_commits_and_stops);
	RUN(random_operations_match_a_model);
	RUN(holes_are_joined_again);
	RUN(bitmap_runs);
	return 0;
}
