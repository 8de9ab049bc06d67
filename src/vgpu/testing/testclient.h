// SPDX-License-Identifier: Apache-2.0
// For tests: a hand-made guest process. It speaks frames over a descriptor and collects what comes
// back; a wrong or missing answer ends the test.
#pragma once

#include <sys/types.h>
#include "base/buf.h"
#include "vgpu/protocol/protocol.h"

struct testclient {
	int fd;
	uint32_t seq;
	struct buf out;  // frames not sent yet
	struct buf in;   // bytes not looked at yet
	struct buf body; // of the last answer
};

// Starts the ferry-vgpu at `program` in a new folder, 64 MiB, with `option` where that is not NULL:
// --serve *ret_path, and --control that path with TESTCLIENT_CONTROL behind it. With --user= as ferryd
// starts a VM's: the init of a PID namespace. Returns its pid.
#define TESTCLIENT_CONTROL ".control"
pid_t testclient_start(const char *program, const char *option, char *ret_path, size_t size);
// Ends it, which must succeed, and removes its folder. `path` as from testclient_start(); cut by this.
void testclient_stop(pid_t pid, char *path);
void testclient_connect(struct testclient *c, const char *path);
void testclient_close(struct testclient *c);
void testclient_hello(struct testclient *c);
void testclient_send(struct testclient *c); // what is in `out`
// The next frame that is no credit; the frame lies in `in` until the next call.
struct p_frame testclient_next(struct testclient *c);
// Frames up to the answer of `seq`: its status; answer_data for it is in `body`.
int32_t testclient_answer(struct testclient *c, uint32_t seq);
int32_t testclient_event(struct testclient *c, uint32_t event); // up to this event's status
void testclient_expect_end(struct testclient *c);               // the host closes
// Reads `n` bytes of a buffer or image: they must be `bytes`.
void testclient_expect_bytes(
	struct testclient *c, uint32_t queue, uint32_t buffer, const void *bytes, size_t n);

// Puts a message with the next seq, and returns that. `name` as in protocol.def.
#define SEND(c, name, flags, ...)                                                                  \
	({                                                                                         \
		struct p_##name m_ = { __VA_ARGS__ };                                              \
		uint32_t seq_ = ++(c)->seq;                                                        \
		CHECK_EQ(p_put_##name(&(c)->out, flags, seq_, &m_), 0);                            \
		seq_;                                                                              \
	})
#define TEXT(s)     ((struct p_blob){ (const uint8_t *)(s), strlen(s) })
#define BYTES(p, n) ((struct p_blob){ (const uint8_t *)(p), (n) })
#define WAITS(...)                                                                                 \
	((struct p_ids){ .ids = (uint32_t[]){ __VA_ARGS__ },                                       \
		.n = sizeof((uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t) })

// Objects 1 to 3 are a context, an in-order queue with profiling and a program of `source`, built.
void testclient_prepare(struct testclient *c, const char *source);
