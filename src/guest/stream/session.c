// SPDX-License-Identifier: Apache-2.0
#include "guest/stream/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "guest/cl/callback.h"
#include "guest/cl/event.h"
#include "guest/stream/hello.h"
#include "guest/cl/object.h"
#include "guest/stream/later.h"
#include "guest/stream/receive.h"
#include "guest/stream/request.h"
#include "guest/stream/send.h"
#include "guest/stream/transport.h"

#define RELEASES_AT_ONCE 256
#define IN_BYTES         (8 * PROTO_FRAME_MAX)
#define HELLO_TRIES      4
#define COMMAND_FRAMES   4 // that a command's messages take at most, and something for others

struct session session = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.changed = PTHREAD_COND_INITIALIZER,
	.written = PTHREAD_COND_INITIALIZER,
	.fd = -1,
};
_Thread_local bool session_uses_reserve;

void session_lock(void)
{
	pthread_mutex_lock(&session.lock);
}

void session_unlock(void)
{
	callbacks_run_deferred();
	pthread_mutex_unlock(&session.lock);
}

// ---- fork(2): the stream belongs to the parent

static void before_fork(void)
{
	pthread_mutex_lock(&session.lock);
}

static void after_fork_in_parent(void)
{
	pthread_mutex_unlock(&session.lock);
}

// Only this thread exists here. The objects stay, as memory; every call on them is refused.
static void after_fork_in_child(void)
{
	pthread_mutex_init(&session.lock, NULL);
	pthread_cond_init(&session.changed, NULL);
	pthread_cond_init(&session.written, NULL);
	session.sleepers = session.starved = 0;
	session.leading = session.writing = false;
	session.write_turn = session.write_turns;
	callbacks_forget_thread();
	if (!session.open)
		return;
	close(session.fd);
	session.fd = -1;
	session.lost = CL_DEVICE_NOT_AVAILABLE;
}

// The only thing that the library ever prints: without it a program sees no more than that there is no
// platform.
static void say_refused(const char *why, const char *remedy)
{
	static bool said;

	if (!said)
		fprintf(stderr, "ferry: no vGPU for %s (pid %d): %s\n  -> %s\n",
			program_invocation_short_name, (int)getpid(), why, remedy);
	said = true;
}

static int open_connection(void)
{
	static bool fork_handled;

	if (!fork_handled)
		pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
	fork_handled = true;
	if (!session.in)
		session.in = malloc(IN_BYTES);
	if (!session.in)
		return -ENOMEM;
	session.fd = transport_open();
	return session.fd;
}

// A VM's vGPU that ends meanwhile is replaced: the guest's kernel has the next write wait for that.
static int greet(void)
{
	int r = -EPIPE;

	for (int tries = 0; tries < HELLO_TRIES && r == -EPIPE; tries++)
		r = hello_exchange(session.in, IN_BYTES);
	return r;
}

static bool share_is_here(const void *arg)
{
	return !session.share_follows;
}

// What the device can depends on it, so no call is answered before it is here.
static void wait_for_share(void)
{
	receive_frames();
	session_wait(share_is_here, NULL);
}

cl_int session_open(void)
{
	if (session.open)
		return session.lost;
	int r = open_connection();
	if (r == -EBUSY)
		say_refused("each port to the vGPU is in use, and a program needs one",
			"end one of the programs that use OpenCL, then start this one again");
	if (r < 0)
		return CL_PLATFORM_NOT_FOUND_KHR;
	r = greet();
	if (r == -EUSERS)
		say_refused("as many programs as it serves use the vGPU already",
			"end one of them, then start this one again");
	session.open = r == 0;
	if (session.open) {
		wait_for_share();
		return session.lost;
	}
	close(session.fd);
	session.fd = -1;
	return CL_PLATFORM_NOT_FOUND_KHR;
}

void session_lose(cl_int status)
{
	if (session.lost)
		return;
	session.lost = status;
	requests_fail(status);
	later_drop_all();
	receive_lost(status);
	session_changed();
}

// ---- sending

static cl_int write_out(void)
{
	if (session.writing)
		return session.lost;
	int r = transport_write(session.fd, session.out.data, session.out.len);

	buf_reset(&session.out);
	if (r < 0)
		session_lose(CL_DEVICE_NOT_AVAILABLE);
	return session.lost;
}

void session_send_releases(void)
{
	uint32_t ids[RELEASES_AT_ONCE];
	struct p_release m = { .objects = { .ids = ids } };

	while (released_count() && !session.lost) {
		m.objects.n = (uint32_t)released_take(ids, RELEASES_AT_ONCE, session.seq + 1);
		send_release(0, &m, NULL);
	}
}

cl_int session_flush(void)
{
	if (session.lost)
		return session.lost;
	session_send_releases();
	return session.out.len && !session.lost ? write_out() : session.lost;
}

// The host gives credit back in quarters of all of it: who may use the reserve always gets some.
static bool have_credit(const void *arg)
{
	const unsigned *frames = arg;
	bool keep = session.reserves && !session_uses_reserve;

	return session.credit >= *frames * PROTO_FRAME_MAX + (keep ? session.credit_most / 2 : 0);
}

static cl_int wait_for_credit(
	unsigned frames, cl_int (*wait)(bool (*over)(const void *arg), const void *arg))
{
	if (session.lost || have_credit(&frames))
		return session.lost;
	session.starved++;
	cl_int err = wait(have_credit, &frames);
	session.starved--;
	return err;
}

cl_int session_room(unsigned paid)
{
	return paid ? wait_for_credit(paid, session_wait) : session.lost;
}

cl_int session_room_for_command(void)
{
	return events_unset() ? wait_for_credit(COMMAND_FRAMES, session_wait_patiently)
			      : session.lost;
}

void session_sent(size_t start, bool paid)
{
	size_t bytes = session.out.len - start;

	if (paid)
		session.credit -= bytes < session.credit ? bytes : session.credit;
	if (session.out.len >= PROTO_FRAME_MAX / 2 && !session.lost)
		write_out();
}

// ---- sending from where the bytes lie

static void take_turn(void)
{
	uint32_t turn = session.write_turns++;

	while (session.write_turn != turn)
		pthread_cond_wait(&session.written, &session.lock);
}

static void end_turn(void)
{
	session.write_turn++;
	pthread_cond_broadcast(&session.written);
}

// Others may call meanwhile: what they send waits in `out`, behind this frame.
static void write_straight(const uint8_t *bytes, size_t n)
{
	session.writing = true;
	pthread_mutex_unlock(&session.lock);
	int r = transport_write(session.fd, bytes, n);
	pthread_mutex_lock(&session.lock);
	session.writing = false;
	if (r < 0)
		session_lose(CL_DEVICE_NOT_AVAILABLE);
	session_flush();
}

static cl_int send_head(const struct p_data *m, size_t n)
{
	struct p_data head = { m->stream, m->offset, { NULL, 0 } };
	size_t start = session.out.len;

	if (p_put_data(&session.out, 0, session.seq + 1, &head) < 0)
		return CL_OUT_OF_HOST_MEMORY;
	session.seq++;
	session.credit -= session.out.len - start + n;
	p_patch_bulk(session.out.data + start, session.out.len - start, (uint32_t)n);
	return write_out();
}

static cl_int send_part(const struct p_data *m, size_t *ret_n)
{
	cl_int err = session_room(1);

	if (err)
		return err;
	uint64_t most = session.credit - PROTO_DATA_HEAD;
	if (most > PROTO_BULK_MAX)
		most = PROTO_BULK_MAX;
	*ret_n = m->bytes.n < most ? m->bytes.n : (size_t)most;
	err = send_head(m, *ret_n);
	if (!err)
		write_straight(m->bytes.at, *ret_n);
	return err ? err : session.lost;
}

cl_int session_send_straight(const struct p_data *m, size_t *ret_n)
{
	take_turn();
	cl_int err = send_part(m, ret_n);
	end_turn();
	return err;
}

// ---- reading

void session_changed(void)
{
	if (session.sleepers)
		pthread_cond_broadcast(&session.changed);
}

void session_lead(void)
{
	session.leading = true;
	pthread_mutex_unlock(&session.lock);
	ssize_t n =
		transport_read(session.fd, session.in + session.in_len, IN_BYTES - session.in_len);
	pthread_mutex_lock(&session.lock);
	session.leading = false;
	if (n > 0) {
		session.in_len += (size_t)n;
		receive_frames();
		later_pump();
	} else {
		session_lose(CL_DEVICE_NOT_AVAILABLE);
	}
	session_changed();
}

// Leads, but not beyond `end`.
static void lead_until(int64_t end)
{
	int64_t left = end - clock_now_ns();

	session.leading = true;
	pthread_mutex_unlock(&session.lock);
	bool readable = transport_readable(session.fd, (int)(left / NSEC_PER_MSEC) + 1);
	pthread_mutex_lock(&session.lock);
	session.leading = false;
	if (readable)
		session_lead();
	else
		session_changed(); // another one has to lead
}

// `end` 0: for ever, here and below.
static void sleep_until(int64_t end)
{
	const struct timespec t = { .tv_sec = end / NSEC_PER_SEC, .tv_nsec = end % NSEC_PER_SEC };

	session.sleepers++;
	if (end)
		pthread_cond_clockwait(&session.changed, &session.lock, CLOCK_MONOTONIC, &t);
	else
		pthread_cond_wait(&session.changed, &session.lock);
	session.sleepers--;
}

static cl_int wait_until(bool (*over)(const void *arg), const void *arg, int64_t end)
{
	session_flush();
	while (!over(arg)) {
		if (session.lost)
			return session.lost;
		if (end && clock_now_ns() >= end)
			return CL_OUT_OF_RESOURCES;
		if (session.leading)
			sleep_until(end);
		else if (end)
			lead_until(end);
		else
			session_lead();
	}
	return CL_SUCCESS;
}

cl_int session_wait(bool (*over)(const void *arg), const void *arg)
{
	return wait_until(over, arg, 0);
}

cl_int session_wait_patiently(bool (*over)(const void *arg), const void *arg)
{
	return wait_until(over, arg, clock_now_ns() + PATIENCE_MS * NSEC_PER_MSEC);
}

void session_poll(void)
{
	session_flush();
	while (!session.leading && !session.lost && transport_readable(session.fd, 0))
		session_lead();
}
