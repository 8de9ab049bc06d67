// SPDX-License-Identifier: Apache-2.0
#include "relay/pump.h"
#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

// Unused time that a rate may make up for: a timer's grain where there was nothing to send, and where
// there was, as much as a busy machine may wake us late (10 ms and more were seen).
#define RATE_BURST_NS (5 * NSEC_PER_MSEC)
#define RATE_LATE_NS  (100 * NSEC_PER_MSEC)

int pump_init(struct pump *p, int from, int to, struct pump_rate *rate)
{
	*p = (struct pump){ .from = from, .to = to, .rate = rate };
	p->data = malloc(PUMP_BYTES);
	return p->data ? 0 : -ENOMEM;
}

void pump_free(struct pump *p)
{
	free(p->data);
	p->data = NULL;
}

static bool limited(const struct pump *p)
{
	return p->rate && p->rate->bytes_per_s;
}

int64_t pump_rate_until(const struct pump *p, int64_t now_ns)
{
	if (!limited(p) || p->held || p->eof || p->len == PUMP_BYTES)
		return -1;
	return p->rate->booked_until_ns > now_ns ? p->rate->booked_until_ns : -1;
}

void pump_hold(struct pump *p, bool held)
{
	p->held = held;
	if (p->rate)
		p->rate->more = false;
}

bool pump_wants_read(const struct pump *p, int64_t now_ns)
{
	if (limited(p) && p->rate->booked_until_ns > now_ns)
		return false;
	return !p->held && !p->eof && p->len < PUMP_BYTES;
}

bool pump_wants_write(const struct pump *p)
{
	return p->len > 0 || (p->eof && !p->finished);
}

// How much may be read now: up to the buffer's end, and no more than a burst's worth at a rate.
static size_t room(const struct pump *p)
{
	size_t end = (p->start + p->len) % PUMP_BYTES;
	size_t n = end < p->start ? p->start - end : PUMP_BYTES - end;

	if (limited(p)) {
		uint64_t burst = p->rate->bytes_per_s / (NSEC_PER_SEC / RATE_BURST_NS) + 1;
		n = n < burst ? n : (size_t)burst;
	}
	return n;
}

static void book(struct pump_rate *r, size_t n, int64_t now_ns)
{
	int64_t oldest = now_ns - (r->more ? RATE_LATE_NS : RATE_BURST_NS);

	if (r->booked_until_ns < oldest)
		r->booked_until_ns = oldest;
	r->booked_until_ns += (int64_t)((double)n * NSEC_PER_SEC / (double)r->bytes_per_s);
}

int pump_read(struct pump *p, int64_t now_ns)
{
	if (!pump_wants_read(p, now_ns))
		return 0;
	if (!p->len)
		p->start = 0;
	size_t most = room(p);
	ssize_t n = recv(p->from, p->data + (p->start + p->len) % PUMP_BYTES, most, MSG_DONTWAIT);
	int error = errno;
	if (n > 0 && limited(p))
		book(p->rate, (size_t)n, now_ns);
	if (p->rate)
		p->rate->more = n == (ssize_t)most;
	if (n < 0)
		return error == EAGAIN || error == EINTR ? 0 : -error;
	if (n == 0) {
		p->eof = true;
		return 0;
	}
	p->len += (size_t)n;
	return 0;
}

int pump_write(struct pump *p)
{
	while (p->len > 0) {
		size_t n = PUMP_BYTES - p->start < p->len ? PUMP_BYTES - p->start : p->len;
		ssize_t w = send(p->to, p->data + p->start, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return errno == EAGAIN ? 0 : -errno;
		p->start = (p->start + (size_t)w) % PUMP_BYTES;
		p->len -= (size_t)w;
		p->bytes += (uint64_t)w;
		p->last_ns = clock_now_ns();
	}
	if (p->eof && !p->finished) {
		p->finished = true;
		// The other end may have closed already; then it needs no telling.
		if (shutdown(p->to, SHUT_WR) < 0 && errno != ENOTCONN)
			return -errno;
	}
	return 0;
}
