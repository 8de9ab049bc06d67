// SPDX-License-Identifier: Apache-2.0
#include "vgpu/move/move_batch.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

_Static_assert(RECORD_PAGE_BYTES == PAGE_BYTES, "the wire's page is the page space's");

#define MAX_RECORDS RECORD_MAX_PAGES // each has at least one page of the buffer

struct move_batch {
	struct channel *channel;
	struct page_space *space;
	struct digest_table *sent;
	atomic_uint_fast64_t *progress;
	uint8_t *buffer; // RECORD_MAX_PAGES pages
	uint32_t round;
	struct move_batch_mode mode;
	struct move_batch_counts counts;
	struct digest_root root;
	size_t pages; // of the buffer, in use
	// Records not yet sent; record i's payload, if any, starts at from[i].
	size_t n;
	struct record records[MAX_RECORDS];
	const uint8_t *from[MAX_RECORDS];
};

struct move_batch *move_batch_new(struct channel *c, struct page_space *s,
	struct digest_table *sent, atomic_uint_fast64_t *progress)
{
	struct move_batch *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->channel = c;
	b->space = s;
	b->sent = sent;
	b->progress = progress;
	b->buffer = aligned_alloc(PAGE_BYTES, RECORD_MAX_PAGES * PAGE_BYTES);
	return b->buffer ? b : move_batch_free(b);
}

struct move_batch *move_batch_free(struct move_batch *b)
{
	if (b)
		free(b->buffer);
	free(b);
	return NULL;
}

void move_batch_begin(struct move_batch *b, uint32_t round, struct move_batch_mode mode)
{
	b->round = round;
	b->mode = mode;
	b->counts = (struct move_batch_counts){ 0 };
	b->n = b->pages = 0;
}

int move_batch_flush(struct move_batch *b)
{
	uint8_t headers[MAX_RECORDS][RECORD_BYTES];
	struct iovec iov[2 * MAX_RECORDS];
	uint64_t bytes = 0;
	size_t n = 0;
	int rc;

	if (!b->n) {
		b->pages = 0;
		return 0;
	}
	for (size_t i = 0; i < b->n; i++) {
		record_encode(&b->records[i], headers[i]);
		iov[n++] = (struct iovec){ headers[i], RECORD_BYTES };
		if (b->records[i].payload)
			iov[n++] = (struct iovec){ (void *)b->from[i], b->records[i].payload };
		bytes += b->records[i].payload;
	}
	rc = channel_send(b->channel, iov, n);
	if (rc)
		return rc;
	b->counts.bytes += bytes;
	b->counts.sent_bytes += bytes + b->n * RECORD_BYTES;
	atomic_fetch_add_explicit(b->progress, bytes, memory_order_relaxed);
	b->n = b->pages = 0;
	return 0;
}

// Puts a page into the last record when it continues it, else into a new one.
static int put_page(struct move_batch *b, enum record_type type, uint64_t page, const uint8_t *from)
{
	struct record *last = b->n ? &b->records[b->n - 1] : NULL;
	bool has_payload = type == RECORD_PAGES;

	if (last && last->type == type && last->first + last->count == page &&
		(!has_payload || (last->count < RECORD_MAX_PAGES &&
					 b->from[b->n - 1] + last->payload == from))) {
		last->count++;
		last->payload += has_payload ? PAGE_BYTES : 0;
		return 0;
	}
	if (b->n == MAX_RECORDS) {
		int rc = move_batch_flush(b);

		if (rc)
			return rc;
	}
	b->records[b->n] = (struct record){ .type = type,
		.round = b->round,
		.count = 1,
		.first = page,
		.payload = has_payload ? PAGE_BYTES : 0 };
	b->from[b->n++] = from;
	return 0;
}

static void note_sent(struct move_batch *b, uint64_t page, struct page_digest now)
{
	digest_root_change(&b->root, page, b->sent->of[page], now);
	b->sent->of[page] = now;
}

static int put_read_page(struct move_batch *b, uint64_t page, const uint8_t *bytes)
{
	struct page_digest now = page_digest(bytes), before = b->sent->of[page];
	bool zero = page_digest_is_zero(now);

	if (page_digest_equal(now, before) && (zero || !b->mode.whole))
		return 0;
	b->counts.named_pages += zero;
	note_sent(b, page, now);
	return put_page(b, zero ? RECORD_ZERO : RECORD_PAGES, page, bytes);
}

static int add_read(struct move_batch *b, struct page_work work)
{
	while (work.count) {
		// Room for each page in the buffer, and for a record of its own.
		size_t used = b->pages > b->n ? b->pages : b->n;
		uint32_t room = (uint32_t)(RECORD_MAX_PAGES - used);
		uint32_t n = work.count < room ? work.count : room;
		const uint8_t *bytes = page_space_at(b->space, work.first);
		int rc = 0;

		if (b->mode.live) {
			uint8_t *copy = b->buffer + b->pages * PAGE_BYTES;

			memcpy(copy, bytes, (size_t)n * PAGE_BYTES);
			bytes = copy;
		}
		for (uint32_t i = 0; i < n && !rc; i++)
			rc = put_read_page(b, work.first + i, bytes + (size_t)i * PAGE_BYTES);
		if (rc)
			return rc;
		b->pages += n;
		work.first += n;
		work.count -= n;
		if (b->pages == RECORD_MAX_PAGES || b->n == MAX_RECORDS)
			rc = move_batch_flush(b);
		if (rc)
			return rc;
	}
	return 0;
}

// Only pages that the destination holds as something else have to be named.
static int add_free(struct move_batch *b, struct page_work work)
{
	for (uint64_t page = work.first; page < work.first + work.count; page++) {
		int rc;

		if (page_digest_is_zero(b->sent->of[page]))
			continue;
		note_sent(b, page, (struct page_digest){ 0 });
		b->counts.named_pages++;
		rc = put_page(b, RECORD_FREE, page, NULL);
		if (rc)
			return rc;
	}
	return 0;
}

int move_batch_add(struct move_batch *b, struct page_work work)
{
	return work.kind == PAGE_WORK_READ ? add_read(b, work) : add_free(b, work);
}

// In pieces: a rate limit books each send as a whole, and stops between sends.
int move_batch_bytes(struct move_batch *b, const void *bytes, size_t n)
{
	const uint8_t *at = bytes;
	int rc = move_batch_flush(b);

	while (n && !rc) {
		size_t most = RECORD_MAX_PAGES * PAGE_BYTES, part = n < most ? n : most;
		struct iovec iov = { (void *)at, part };

		rc = channel_send(b->channel, &iov, 1);
		b->counts.sent_bytes += part;
		at += part;
		n -= part;
	}
	return rc;
}

int move_batch_record(struct move_batch *b, const struct record *r, const void *payload)
{
	uint8_t header[RECORD_BYTES];
	struct iovec iov[2] = { { header, RECORD_BYTES }, { (void *)payload, r->payload } };
	int rc = move_batch_flush(b);

	if (rc)
		return rc;
	record_encode(r, header);
	b->counts.sent_bytes += RECORD_BYTES + r->payload;
	return channel_send(b->channel, iov, payload ? 2 : 1);
}

struct move_batch_counts move_batch_counts(const struct move_batch *b)
{
	return b->counts;
}

struct digest_root move_batch_root(const struct move_batch *b)
{
	return b->root;
}
