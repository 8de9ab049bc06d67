// SPDX-License-Identifier: Apache-2.0
// The process's one session with ferry-vgpu: the lock over all of the library's state, the send
// buffer, credits, and who reads the answers. Knows the guest stream; knows no OpenCL object beyond
// its number, except that events and failures arrive for them.
//
// Threads: every field and every function needs the lock, except where it says otherwise. There is
// no reader thread: the thread that waits reads ("leads"), the others sleep until it has read
// something. callback.h adds a thread for programs that registered callbacks.
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "guest/cl/dispatch.h"
#include "vgpu/protocol/protocol.h"

#define REQUEST_BUCKETS 64
#define PATIENCE_MS     10000

struct request;

struct session {
	pthread_mutex_t lock;
	pthread_cond_t changed; // something was read, or the session ended
	unsigned sleepers;      // on `changed`
	bool leading;           // a thread is in read(2), without the lock
	bool writing; // a thread is in write(2) with a long frame, without the lock: `out` waits
	pthread_cond_t written;           // `write_turn` has changed
	uint32_t write_turns, write_turn; // of long frames: taken, and whose it is

	bool open;
	bool share_follows; // the host has announced its memory (P_SHARE) and not sent it yet
	cl_int lost;        // CL_SUCCESS, or what every call returns from now on
	int fd;

	struct buf out;       // frames not yet written; nearly empty unless `writing`
	unsigned starved;     // threads that wait for credit, in the middle of a call
	unsigned reserves;    // half the credit is kept for so many native kernels
	uint64_t credit;      // bytes of PAID frames that may be sent
	uint64_t credit_most; // when none are outstanding
	uint32_t seq;         // of the last message
	uint32_t read_seq;    // the host has read every message up to this one

	uint8_t *in; // bytes read, not yet a whole frame
	size_t in_len;
	struct request *requests[REQUEST_BUCKETS]; // by seq

	uint64_t memory_bytes; // the profile's
	struct buf info;       // info items, as the host sent them
};

extern struct session session;
// Whether this thread may use what is kept: commands wait for what it does.
extern _Thread_local bool session_uses_reserve;

void session_lock(void);   // takes it
void session_unlock(void); // runs deferred callbacks, see callback.h, then gives it back

static inline void session_unlock_p(int *unused)
{
	session_unlock();
}
// `LOCKED;` holds the lock until the scope's end.
#define LOCKED __attribute__((cleanup(session_unlock_p), unused)) int locked_ = (session_lock(), 0)

// Connects and greets, once; later calls return the same. CL_SUCCESS, CL_PLATFORM_NOT_FOUND_KHR when
// there is no vGPU, or the session's end.
cl_int session_open(void);
// Ends the session for good: every call returns `status`, events and requests end with it.
void session_lose(cl_int status);

// Puts the numbers of destroyed objects into the send buffer. session_flush() does it; needed earlier
// by a message that the host can only accept once they are gone.
void session_send_releases(void);
// Writes everything sent so far, or leaves it to the thread that is writing, which does it at the end of its
// frame. CL_SUCCESS or the session's end.
cl_int session_flush(void);
// Makes room for so many more frames that are paid: waits for credit (giving the lock up meanwhile).
cl_int session_room(unsigned paid);
// Accounts for the frame that begins at `start` of `out`.
void session_sent(size_t start, bool paid);
// Sends `m` as a data frame whose bytes are written from where they lie, as many of them as a frame and the
// credit allow: *ret_n. Everything sent so far goes out first. Threads that do this take turns, frame by
// frame; the lock is given up meanwhile.
cl_int session_send_straight(const struct p_data *m, size_t *ret_n);

// Flushes, then reads or sleeps until over(arg). CL_SUCCESS or the session's end. The lock is given
// up meanwhile.
cl_int session_wait(bool (*over)(const void *arg), const void *arg);
// The same for PATIENCE_MS at most: then CL_OUT_OF_RESOURCES. For calls that wait for what perhaps only
// their own thread could bring about.
cl_int session_wait_patiently(bool (*over)(const void *arg), const void *arg);
// Room for a command: waits for credit, patiently while the program has user events to set.
cl_int session_room_for_command(void);
// Flushes and reads what is there, without waiting.
void session_poll(void);
// Reads once, as leader; no other may lead.
void session_lead(void);
// Wakes those that sleep on `changed`.
void session_changed(void);

static inline bool session_was_read(uint32_t seq)
{
	return (int32_t)(session.read_seq - seq) >= 0;
}
static inline void session_note_read(uint32_t seq)
{
	if (!session_was_read(seq))
		session.read_seq = seq;
}
