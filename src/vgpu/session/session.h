// SPDX-License-Identifier: Apache-2.0
// One guest process: its object table, its uploads under way, its credit. Knows the guest protocol;
// bytes come from and go to its port.
#pragma once

#include "vgpu/session/event.h"
#include "vgpu/session/object.h"
#include "vgpu/protocol/protocol.h"
#include "vgpu/vgpu.h"

struct program;

// A message whose bytes are still coming as data frames.
struct upload {
	struct upload *next;
	uint32_t seq;
	uint64_t total, arrived;
	struct command *command; // a write, or
	struct program *program; // a program's text; neither: the bytes are dropped
};

struct session {
	struct object o; // must be first
	struct vgpu *v;
	struct port *port; // NULL once over
	bool over;
	uint32_t pid;
	uint64_t nonce;
	char process[64];
	struct object **table; // by id; NULL where free
	uint32_t n_table;
	uint32_t n_objects;       // those included that have no number any more
	struct program *programs; // all, in its table or not
	struct upload *uploads;
	uint32_t n_uploads;
	uint32_t jobs;       // that its guest asked for, and the worker has not done yet
	uint64_t job_bytes;  // copied for them
	int64_t credit;      // bytes that the guest may still send
	uint64_t credit_due; // disposed of, not yet returned
	bool shares;         // the guest maps the vGPU's memory
	char breach[100];    // what ended it; "" when nothing did
};

// A session and nothing more, for a port or for an incoming one. `serial` 0: the next one.
int session_make(struct vgpu *v, uint64_t serial, struct port *port, struct session **ret);
// Starts the session that a hello asks for; hello_host is queued. `can_map`: the guest gets the vGPU's
// memory, where that is shared and the guest is a local program. 0 or -errno.
int session_new(struct port *port, const struct p_hello *hello, bool can_map, struct session **ret);
// Frees everything the process had; commands in the driver finish by themselves. The port stays.
void session_end(struct session *s);

// Acts on one frame. 0, or -EBADMSG: the session must end (breach says why).
int session_frame(struct session *s, const struct p_frame *f);

// For handlers: notes why, returns -EBADMSG.
int session_breach(struct session *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// Disposed of a PAID frame's bytes.
void session_return_credit(struct session *s, uint64_t bytes);

// A job of one of its programs goes to the worker, with so many bytes copied for it; and is over. `asked`: by
// the guest, not for a move.
void session_job_begins(struct session *s, bool asked, uint64_t bytes);
void session_job_ends(struct session *s, bool asked, uint64_t bytes);
// Whether it has so many of them that what it asks for next has to wait: their answers and copies are not
// paid for by credit.
bool session_is_busy(const struct session *s);

// Messages to the guest; nothing happens when the session is over.
void session_answer(struct session *s, uint32_t seq, int32_t status, uint64_t bytes);
void session_answer_data(struct session *s, uint32_t seq, const struct buf *body);
void session_failed(struct session *s, uint32_t id, int32_t status);
void session_wanted(struct session *s, uint32_t seq);
// Where the new buffer that message `seq` made lies in the vGPU's memory; before its answer.
void session_place(struct session *s, uint32_t seq, uint32_t id, uint64_t offset);
void session_event_status(struct session *s, const struct event *e);

// ---- the object table

// A buffer or an image; NULL when there is none.
struct object *session_find_memory(const struct session *s, uint32_t id);
// NULL when there is no such object, or one of another type.
struct object *session_find(const struct session *s, uint32_t id, enum object_type type);
// For handlers: the same, and where there is none that is a breach, which is noted.
struct object *session_need(struct session *s, uint32_t id, enum object_type type);
// Whether the guest may use this number for a new object; notes the breach otherwise.
int session_check_new_id(struct session *s, uint32_t id);
// Enters a new object; the table takes over its first reference, also on error. 0 or -ENOMEM.
int session_enter(struct session *s, uint32_t id, struct object *o);
// The same for one that message `f` made (`made`: what begins with a struct object; `r`: the result of that;
// < 0: there is none): then its status goes to the guest, and the message's credit back.
int session_enter_made(struct session *s, const struct p_frame *f, int r, uint32_t id, void *made);

// ---- uploads

// 0 and *ret, which stays the session's; or -errno.
int session_upload(
	struct session *s, uint32_t seq, uint64_t total, uint64_t arrived, struct upload **ret);
// The receiver is gone: what still comes is dropped.
void session_upload_orphan(struct session *s, const struct command *c, const struct program *p);

// ---- handlers (session_objects.c, session_programs.c, session_commands.c)

// One for each message to the host: session_on_NAME() acts on what p_get_NAME() made of the frame. 0,
// or -errno, at which the session must end: -EBADMSG for a breach, noted or not.
#define HANDLER_TO_HOST(name)                                                                      \
	int session_on_##name(struct session *s, const struct p_frame *f, const struct p_##name *m);
#define HANDLER_TO_GUEST(name)
#define MSG(name, number, direction, credit) HANDLER_##direction(name)
#include "vgpu/protocol/protocol_messages.h"
#undef HANDLER_TO_HOST
#undef HANDLER_TO_GUEST
