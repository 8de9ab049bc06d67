// SPDX-License-Identifier: Apache-2.0
// Channels: blocking bulk byte streams. One thread may send while another receives; a third may
// wake both. Transports and decorators (a channel around a channel) share one table of operations.
// Knows bytes; not what they mean.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include "base/error.h"

#define CHANNEL_MAX_IOV 160 // vectors of one call

struct channel;

struct channel_ops {
	const char *name;
	// Sends all bytes of all vectors, or -errno (-ECANCELED after wake).
	int (*send)(struct channel *c, const struct iovec *iov, size_t n);
	// Waits for at least one byte and fills the vectors in order with what is there. Bytes, 0 when
	// the peer has closed, or -errno.
	ssize_t (*recv)(struct channel *c, const struct iovec *iov, size_t n);
	// Any thread: calls under way and later ones end at once. The stream is then good for nothing.
	void (*wake)(struct channel *c);
	// No call may be under way. Closes its descriptors and, for a decorator, what it is around.
	void (*close)(struct channel *c);
};

struct channel {
	const struct channel_ops *ops;
};

static inline int channel_send(struct channel *c, const struct iovec *iov, size_t n)
{
	return c->ops->send(c, iov, n);
}

static inline ssize_t channel_recv(struct channel *c, const struct iovec *iov, size_t n)
{
	return c->ops->recv(c, iov, n);
}

static inline void channel_wake(struct channel *c)
{
	c->ops->wake(c);
}

// NULL-safe, returns NULL.
static inline struct channel *channel_close(struct channel *c)
{
	if (c)
		c->ops->close(c);
	return NULL;
}

// Exactly n bytes: 0, or -errno (-ECONNRESET when the peer closed before).
int channel_recv_all(struct channel *c, void *to, size_t n);

// Bytes in a vector array.
size_t channel_iov_bytes(const struct iovec *iov, size_t n);

// A TCP peer that has not answered for this long, sending or idle, is lost (-ETIMEDOUT): a cut link
// gives no other sign.
#define CHANNEL_LOST_MS 15000

// A stream socket, TCP or unix; becomes blocking and the channel's, also on error. TCP gets
// TCP_NODELAY: records are batched by whoever sends.
int channel_socket_new(int fd, struct channel **ret, struct ferry_error *e);
// A pair of pipe ends or files; either may be -1. Become the channel's, also on error.
int channel_pipe_new(int read_fd, int write_fd, struct channel **ret, struct ferry_error *e);

// A rate shared by the channels of a move: a token bucket, bytes over all of them together. For
// places where the link itself has no queueing. Safe from all threads; must outlive its channels.
struct rate;
struct rate *rate_new(uint64_t bytes_per_s); // more than 0; NULL when memory is exhausted
struct rate *rate_free(struct rate *r);      // NULL-safe, returns NULL
// From now on (more than 0), also for those that wait already.
void rate_set(struct rate *r, uint64_t bytes_per_s);
// Waits in send(); receiving is as fast as the peer. On error the inner channel is closed.
int channel_rate_new(
	struct channel *inner, struct rate *r, struct channel **ret, struct ferry_error *e);

// For tests: misbehaves once, at a byte of the stream.
enum channel_fault_kind {
	CHANNEL_FAULT_CUT,     // the connection ends there
	CHANNEL_FAULT_CORRUPT, // the byte arrives with its bits turned over
};
struct channel_fault {
	enum channel_fault_kind kind;
	uint64_t at; // counted over bytes sent, from 0
};
int channel_fault_new(struct channel *inner, struct channel_fault fault, struct channel **ret,
	struct ferry_error *e);

// Writes a debug line for each call, with `name`, the bytes and the time that it took.
int channel_trace_new(
	struct channel *inner, const char *name, struct channel **ret, struct ferry_error *e);
