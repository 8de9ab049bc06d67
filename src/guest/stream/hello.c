// SPDX-License-Identifier: Apache-2.0
#include "guest/stream/hello.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include "guest/cl/object.h"
#include "guest/stream/session.h"
#include "guest/stream/transport.h"

// A vGPU whose VM is about to be moved may answer late; one that is not there never does.
#define HELLO_TIMEOUT_MS 20000
#define HELLO_KEY_BYTES  16 // magic and nonce

// Ends what an earlier process left half sent (protocol.h). `in`: for now, memory to use.
static int send_zeros(uint8_t *in, size_t cap)
{
	int r = 0;

	memset(in, 0, cap);
	for (size_t at = 0, n; r == 0 && at < PROTO_DATA_FRAME_MAX; at += n) {
		n = PROTO_DATA_FRAME_MAX - at < cap ? PROTO_DATA_FRAME_MAX - at : cap;
		r = transport_write(session.fd, in, n);
	}
	return r;
}

static int send_hello(uint64_t nonce)
{
	_cleanup_buf_ struct buf b = { 0 };
	const char *name = program_invocation_short_name;
	struct p_hello m = { .magic = PROTO_HELLO_MAGIC,
		.version = PROTO_VERSION,
		.pid = (uint32_t)getpid(),
		.nonce = nonce,
		.process = { (const uint8_t *)name, strnlen(name, 256) } };
	int r = p_put_hello(&b, P_SHARE, 1, &m);

	session.seq = session.read_seq = 1;
	return r < 0 ? r : transport_write(session.fd, b.data, b.len);
}

// What an earlier session on this port left unread comes first: everything before the frame that
// begins with our magic and nonce is dropped. 1 when `f` is that frame.
static int find_answer(uint8_t *in, size_t *len, const uint8_t *key, struct p_frame *f)
{
	uint8_t *at = memmem(in, *len, key, HELLO_KEY_BYTES);
	size_t keep = PROTO_HEADER + HELLO_KEY_BYTES;

	if (at && at - in >= PROTO_HEADER) {
		size_t skip = (size_t)(at - in) - PROTO_HEADER;
		memmove(in, in + skip, *len - skip);
		*len -= skip;
		return p_frame_next(in, *len, f);
	}
	if (*len > keep) {
		memmove(in, in + *len - keep, keep);
		*len = keep;
	}
	return 0;
}

static int take_answer(const struct p_frame *f)
{
	struct p_hello_host m;

	if (f->op != p_op_hello_host || p_get_hello_host(f, &m) < 0)
		return -EBADMSG;
	if (m.status == CL_OUT_OF_RESOURCES)
		return -EUSERS;
	if (m.status || m.version != PROTO_VERSION || m.credit < 2 * PROTO_FRAME_MAX)
		return -ECONNREFUSED;
	session.credit = session.credit_most = m.credit;
	session.memory_bytes = m.memory_bytes;
	session.share_follows = f->flags & P_SHARE;
	objects_limit(m.objects_max < PROTO_OBJECTS_MAX ? m.objects_max : PROTO_OBJECTS_MAX);
	buf_reset(&session.info);
	buf_put(&session.info, m.info.at, m.info.n);
	return session.info.failed ? -ENOMEM : 0;
}

static int read_answer(uint8_t *in, size_t cap, const uint8_t *key, struct p_frame *f)
{
	size_t len = 0;
	int r;

	do {
		if (!transport_readable(session.fd, HELLO_TIMEOUT_MS))
			return -ETIMEDOUT;
		ssize_t n = transport_read(session.fd, in + len, cap - len);
		if (n < 0)
			return (int)n;
		len += (size_t)n;
		r = find_answer(in, &len, key, f);
	} while (r == 0);
	session.in_len = len;
	return r < 0 ? r : 0;
}

int hello_exchange(uint8_t *in, size_t cap)
{
	uint64_t nonce = 0;
	_cleanup_buf_ struct buf key = { 0 };
	struct p_frame f;

	if (getrandom(&nonce, sizeof nonce, 0) != sizeof nonce)
		return -EIO;
	buf_put_u64(&key, PROTO_HELLO_MAGIC);
	buf_put_u64(&key, nonce);
	int r = key.failed ? -ENOMEM : 0;
	if (r == 0 && transport_stays())
		r = send_zeros(in, cap);
	if (r == 0)
		r = send_hello(nonce);
	if (r == 0)
		r = read_answer(in, cap, key.data, &f);
	if (r == 0)
		r = take_answer(&f);
	if (r < 0)
		return r;
	session.in_len -= f.length;
	memmove(in, in + f.length, session.in_len);
	return 0;
}

const uint8_t *hello_info(uint32_t kind, uint32_t param, size_t *ret_n)
{
	struct rd r = rd_make(session.info.data, session.info.len);
	struct p_info item;

	while (r.left && p_get_info_item(&r, &item) == 0) {
		if (item.kind != kind || item.param != param)
			continue;
		*ret_n = item.value.n;
		return item.value.at;
	}
	return NULL;
}
