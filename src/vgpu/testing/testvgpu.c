// SPDX-License-Identifier: Apache-2.0
#include "vgpu/testing/testvgpu.h"

#include "base/cleanup.h"
#include "base/test.h"
#include "vgpu/session/port.h"

#include <sys/socket.h>
#include <unistd.h>

#define MEMORY (1u << 20)

void testvgpu_start(struct testvgpu *t, struct loop *loop, const struct backend_ops *device)
{
	struct vgpu_config config = { .loop = loop, .memory_bytes = MEMORY, .backend = device };
	struct ferry_error e = FERRY_ERROR_INIT;
	struct port *port;
	int pair[2];

	*t = (struct testvgpu){ .loop = loop };
	CHECK_EQ(vgpu_new(&config, &t->v, &e), 0);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	CHECK_EQ(port_new(t->v, 0, pair[0], dup(pair[1]), &port, &e), 0);
	t->guest = pair[1];
}

static void nothing(void *arg)
{
}

void testvgpu_start_incoming(
	struct testvgpu *t, struct loop *loop, const struct backend_ops *device)
{
	testvgpu_start(t, loop, device);
	gate_close(t->v, nothing, NULL);
	t->v->ports_held = true;
}

void testvgpu_stop(struct testvgpu *t)
{
	vgpu_free(t->v);
	close(t->guest);
	buf_free(&t->in);
}

// Whether something came.
static bool take_in(struct testvgpu *t)
{
	ssize_t n = recv(t->guest, buf_reserve(&t->in, 65536), 65536, MSG_DONTWAIT);

	if (n > 0)
		t->in.len += (size_t)n;
	return n > 0;
}

void testvgpu_settle(struct testvgpu *t)
{
	for (int idle = 0; idle < 3; idle++) {
		loop_once(t->loop, 1);
		while (!t->deaf && take_in(t))
			idle = 0;
	}
}

void testvgpu_feed(struct testvgpu *t, const void *bytes, size_t n)
{
	const uint8_t *at = bytes;

	while (n) {
		ssize_t sent = send(t->guest, at, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent > 0) {
			at += sent;
			n -= (size_t)sent;
		}
		testvgpu_settle(t);
	}
}

int testvgpu_emit(void *records, const void *record, size_t n)
{
	struct buf *b = records;

	buf_put_blob(b, record, n);
	return b->failed ? -1 : 0;
}

int testvgpu_apply(struct testvgpu *t, const struct buf *records, size_t damage, uint8_t with)
{
	_cleanup_buf_ struct buf copy = { 0 };
	struct rd r = rd_make(records->data, records->len);
	int result = 0;
	size_t at = 0;

	while (r.left && result == 0) {
		size_t n;
		const uint8_t *record = rd_blob(&r, SIZE_MAX, &n);
		buf_reset(&copy);
		buf_put(&copy, record, n);
		if (damage >= at && damage < at + n)
			copy.data[damage - at] ^= with;
		at += n;
		result = state_apply(t->v, copy.data, copy.len, NULL);
	}
	return result;
}

void testvgpu_own(struct testvgpu *t)
{
	while (t->v->restoring)
		loop_once(t->loop, 1);
	state_own(t->v);
	gate_open(t->v);
	testvgpu_settle(t);
}

void testvgpu_close_gate(struct testvgpu *t)
{
	CHECK_EQ(gate_close(t->v, nothing, NULL), 0);
	while (t->v->in_flight)
		loop_once(t->loop, 1);
}
