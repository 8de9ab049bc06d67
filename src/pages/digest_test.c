// SPDX-License-Identifier: Apache-2.0
#include "pages/digest.h"

#include "base/test.h"

#define N 64

static struct page_digest digest_of(uint64_t seed)
{
	static uint64_t page[PAGE_BYTES / 8];

	for (size_t i = 0; i < PAGE_BYTES / 8; i++)
		page[i] = seed * (i + 1);
	return page_digest(page);
}

static void zero_page_has_zero_digest(void)
{
	uint8_t page[PAGE_BYTES] __attribute__((aligned(8))) = { 0 };

	CHECK(page_digest_is_zero(page_digest(page)));
	page[PAGE_BYTES - 1] = 1; // the last byte counts
	CHECK(!page_is_zero(page));
	CHECK(!page_digest_is_zero(page_digest(page)));
	page[PAGE_BYTES - 1] = 0;
	page[0] = 1;
	CHECK(!page_is_zero(page));
}

static void root_does_not_depend_on_order_or_history(void)
{
	struct page_digest zero = { 0 };
	struct digest_root forward = { 0 }, parts[2] = { { 0 } }, sum = { 0 };

	for (uint64_t i = 0; i < N; i++)
		digest_root_change(&forward, i, zero, digest_of(i + 1));
	for (uint64_t k = 0; k < N; k++) {
		uint64_t i = k * 29 % N;

		digest_root_change(&parts[0], i, zero, digest_of(1000 + i));
		digest_root_change(&parts[1], i, digest_of(1000 + i), digest_of(i + 1));
	}
	digest_root_add(&sum, parts[1]); // alone it holds "negative" terms
	digest_root_add(&sum, parts[0]);
	CHECK(digest_root_equal(forward, sum));
	CHECK_EQ(sum.pages, N);
	for (uint64_t i = 0; i < N; i++)
		digest_root_change(&sum, i, digest_of(i + 1), zero);
	CHECK(digest_root_equal(sum, (struct digest_root){ 0 }));
}

static void root_tells_places_apart(void)
{
	struct page_digest zero = { 0 };
	struct digest_root a = { 0 }, b = { 0 };

	digest_root_change(&a, 1, zero, digest_of(5));
	digest_root_change(&a, 2, zero, digest_of(6));
	digest_root_change(&b, 1, zero, digest_of(6));
	digest_root_change(&b, 2, zero, digest_of(5));
	CHECK(!digest_root_equal(a, b));
}

static void scan_equals_the_running_root(void)
{
	struct page_space *s = NULL;
	struct digest_root kept = { 0 }, scanned;
	char text[DIGEST_ROOT_TEXT];
	atomic_bool stop = true;

	CHECK_EQ(page_space_new(N * PAGE_BYTES, &s, NULL), 0);
	for (uint64_t i = 0; i < N; i += 3) {
		memset(page_space_at(s, 2 * i), (int)i + 1, PAGE_BYTES);
		digest_root_change(&kept, 2 * i, (struct page_digest){ 0 },
			page_digest(page_space_at(s, 2 * i)));
	}
	memset(page_space_at(s, N * 4 - 1), 0, PAGE_BYTES); // committed, but zero
	CHECK_EQ(digest_scan_root(s, NULL, &scanned), 0);
	CHECK(digest_root_equal(kept, scanned));
	digest_root_format(scanned, text);
	CHECK_EQ(strlen(text), 32);
	CHECK(digest_scan_root(s, &stop, &scanned) != 0);
	page_space_close(s);
}

int main(void)
{
	RUN(zero_page_has_zero_digest);
	RUN(root_does_not_depend_on_order_or_history);
	RUN(root_tells_places_apart);
	RUN(scan_equals_the_running_root);
	return 0;
}
