// SPDX-License-Identifier: Apache-2.0
// What a source's worker threads do in a round.
#include <endian.h>
#include <errno.h>
#include <string.h>
#include "vgpu/move/move_source_internal.h"

static void note_error(struct move_source *m, size_t i, int rc)
{
	pthread_mutex_lock(&m->lock);
	if (!m->send_error.err)
		ferry_fail(
			&m->send_error, rc, "peer-lost", "data channel %zu: %s", i, strerror(-rc));
	pthread_mutex_unlock(&m->lock);
	atomic_store(&m->stop, true); // the others need not go on
	loop_wake(m->waker);
}

bool move_source_send_error(struct move_source *m, struct ferry_error *ret)
{
	bool set;

	pthread_mutex_lock(&m->lock);
	set = m->send_error.err;
	if (set && ret)
		*ret = m->send_error;
	pthread_mutex_unlock(&m->lock);
	return set;
}

static int send_share(struct move_source *m, size_t i)
{
	struct move_batch *b = m->batches[i];
	struct record barrier = { .type = RECORD_BARRIER, .round = m->round };
	int rc = 0;

	move_batch_begin(b, m->round, m->batch_mode);
	if (i == 0)
		rc = move_batch_bytes(b, m->opening.bytes.data, m->opening.bytes.len);
	while (!rc && !atomic_load_explicit(&m->stop, memory_order_relaxed)) {
		size_t k = atomic_fetch_add_explicit(&m->cursor, 1, memory_order_relaxed);

		if (k >= m->plan.n)
			return move_batch_record(b, &barrier, NULL);
		rc = move_batch_add(b, m->plan.work[k]);
	}
	return rc ? rc : -ECANCELED;
}

void move_source_send_job(void *arg, size_t i)
{
	struct move_source *m = arg;
	int rc = send_share(m, i);

	if (rc)
		note_error(m, i, rc);
}

void move_source_send_finish(struct move_source *m)
{
	struct record finish = {
		.type = RECORD_FINISH, .round = m->round, .payload = RECORD_ROOT_BYTES
	};
	struct digest_root root = m->result.root;
	uint64_t payload[3] = { htole64((uint64_t)root.sum), htole64((uint64_t)(root.sum >> 64)),
		htole64(root.pages) };
	int rc = move_batch_record(m->batches[0], &finish, payload);

	if (rc)
		note_error(m, 0, rc);
}
