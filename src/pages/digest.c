// SPDX-License-Identifier: Apache-2.0
#include "pages/digest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <xxhash.h>
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h> // picks AVX2 or AVX-512 at run time: twice as fast as the SSE2 default
#endif

bool page_is_zero(const void *page)
{
	const char *p = page;
	uint64_t first;

	memcpy(&first, p, sizeof(first));
	return !first && !memcmp(p, p + sizeof(first), PAGE_BYTES - sizeof(first));
}

struct page_digest page_digest(const void *page)
{
	struct page_digest d = { 0 };
	XXH128_hash_t h;

	if (page_is_zero(page))
		return d;
	h = XXH3_128bits(page, PAGE_BYTES);
	d = (struct page_digest){ h.low64, h.high64 };
	if (page_digest_is_zero(d))
		d.low = 1; // the value that means zeros is taken
	return d;
}

static unsigned __int128 term(uint64_t page, struct page_digest d)
{
	uint64_t in[3] = { page, d.low, d.high };
	XXH128_hash_t h;

	if (page_digest_is_zero(d))
		return 0;
	h = XXH3_128bits(in, sizeof(in));
	return (unsigned __int128)h.high64 << 64 | h.low64;
}

void digest_root_change(
	struct digest_root *r, uint64_t page, struct page_digest from, struct page_digest to)
{
	r->sum += term(page, to) - term(page, from);
	r->pages += !page_digest_is_zero(to);
	r->pages -= !page_digest_is_zero(from);
}

void digest_root_add(struct digest_root *r, struct digest_root part)
{
	r->sum += part.sum;
	r->pages += part.pages;
}

void digest_root_format(struct digest_root r, char ret[DIGEST_ROOT_TEXT])
{
	snprintf(ret, DIGEST_ROOT_TEXT, "%016llx%016llx", (unsigned long long)(r.sum >> 64),
		(unsigned long long)r.sum);
}

int digest_table_init(struct digest_table *t, uint64_t pages)
{
	void *p = mmap(NULL, pages * sizeof(*t->of), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	t->of = p;
	t->pages = pages;
	return 0;
}

void digest_table_destroy(struct digest_table *t)
{
	if (t->of)
		munmap(t->of, t->pages * sizeof(*t->of));
	*t = (struct digest_table){ 0 };
}

int digest_scan_root(const struct page_space *s, const atomic_bool *stop, struct digest_root *ret)
{
	struct page_run left = { 0, page_space_pages(s) }, data;
	struct digest_root r = { 0 };

	while (left.count && page_space_next_data(s, left, &data)) {
		for (uint64_t p = data.first; p < page_run_end(data); p++) {
			if (stop && atomic_load_explicit(stop, memory_order_relaxed))
				return -ECANCELED;
			digest_root_change(
				&r, p, (struct page_digest){ 0 }, page_digest(page_space_at(s, p)));
		}
		left.count = page_run_end(left) - page_run_end(data);
		left.first = page_run_end(data);
	}
	*ret = r;
	return 0;
}
