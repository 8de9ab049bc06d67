// SPDX-License-Identifier: Apache-2.0
// The guest stream (docs/interfaces.md section 10): frames, messages and their codecs, used by both
// ferry-vgpu and the guest library. Knows bytes; knows no OpenCL, no sockets, no objects.
//
// A frame is a 12-byte header { u32 length of the whole frame, u16 op, u16 flags, u32 seq } and the
// message's fields in the order of protocol.def, little-endian, without padding. A frame is at most
// PROTO_FRAME_MAX bytes; only a data frame, which is not made in a buffer but sent from where its bytes
// lie, may be PROTO_DATA_FRAME_MAX.
//
// Rules of the stream:
// - The guest numbers its messages (header seq, any unique u32) and its objects (u32, 1 to
//   objects_max, as dense as it can). The host's frames carry seq 0.
// - Credit: a PAID frame costs its length; hello_host gives the first credit, credit frames return
//   it. The guest sends no PAID frame that it has no credit for; one that does ends its session.
// - A VM's port outlives the processes that use it, and one that is killed leaves its last frame cut
//   anywhere. So a guest begins on a port with PROTO_DATA_FRAME_MAX zeros: whatever frame was cut ends
//   in them, and zeros where a frame should begin end the session; then comes hello.
// - A VM outlives its vGPU. The one that takes the place of another begins on each port that the guest has
//   open with PROTO_FRAME_MAX bytes PROTO_LOST, for a process that knows nothing of the change: whatever
//   frame was cut ends in them, with no status in it that says success, and no frame begins with them.
// - A frame that breaks the protocol (unknown op, bad field, unknown object, id in use) ends the
//   session; an OpenCL error does not: it comes as answer, event_status or failed.
// - clEnqueueMapBuffer is read into guest memory, clEnqueueUnmapMemObject a write of it.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "vgpu/protocol/fields.h"

#define PROTO_VERSION        2 // 1: no data frame above PROTO_FRAME_MAX, no zeros before hello
#define PROTO_FRAME_MAX      32768
#define PROTO_HEADER         12
#define PROTO_DATA_MAX       32704               // bulk bytes in a frame of PROTO_FRAME_MAX
#define PROTO_BULK_MAX       (256u << 10)        // bulk bytes in one data frame
#define PROTO_DATA_HEAD      (PROTO_HEADER + 16) // of a data frame, before its bytes
#define PROTO_DATA_FRAME_MAX (PROTO_DATA_HEAD + PROTO_BULK_MAX)
#define PROTO_INLINE_MAX     24576 // bulk bytes inside the announcing message
#define PROTO_IDS_MAX        4096
#define PROTO_WAITS_MAX      1024 // longer lists: markers wait for what is in front
#define PROTO_INPUTS_MAX     1024
#define PROTO_PARTS_MAX      256
#define PROTO_SOURCE_MAX     (32u << 20) // a program's text or binary
#define PROTO_TEXT_MAX       16384
#define PROTO_NAME_MAX       4096
#define PROTO_ARG_MAX        4352
#define PROTO_ARGS_MAX       16384
#define PROTO_INFO_MAX       28672
#define PROTO_LOG_MAX        (1u << 20)
#define PROTO_OBJECTS_MAX    (1u << 20)
#define PROTO_LOST           0xff
#define PROTO_HELLO_MAGIC    0x4f4c4c4548595246ULL // "FRYHELLO"

// Header flags.
#define P_ANSWER 1 // creations: answer with the status
#define P_SHARE  2 // hello: the guest can map memory (shared, place); hello_host: a shared follows
#define P_LATER  4 // write, write_rect: the bytes are sent when the host asks for them (wanted)

// Image formats: those for CL_MEM_READ_WRITE, then lists for the other flags where they differ.
enum {
	PROTO_INFO_PLATFORM = 0,
	PROTO_INFO_DEVICE = 1,
	PROTO_INFO_FORMATS = 2,
	PROTO_INFO_FORMATS_WRITE = 3,
	PROTO_INFO_FORMATS_READ = 4,
	PROTO_INFO_FORMATS_BOTH = 5, // CL_MEM_KERNEL_READ_AND_WRITE
	PROTO_INFO_SVM = 6,          // PROTO_SVM_*; none: there is no shared virtual memory
};
enum {
	PROTO_SVM_WHERE = 0, // it lies: u64 address, u64 bytes
	PROTO_SVM_MAPPED =
		1, // u64 CL_DEVICE_SVM_CAPABILITIES of a program that maps the vGPU's memory there
};
enum {
	PROTO_ARG_BYTES = 0,
	PROTO_ARG_BUFFER = 1,
	PROTO_ARG_LOCAL = 2,
	PROTO_ARG_IMAGE = 3,
	PROTO_ARG_SAMPLER = 4,
	PROTO_ARG_SVM = 5, // a byte of an allocation
};

enum p_direction { TO_HOST, TO_GUEST };
enum p_cost { FREE, PAID };

// One whole frame in the receiver's buffer.
struct p_frame {
	uint16_t op;
	uint16_t flags;
	uint32_t seq;
	uint32_t length; // header included
	const uint8_t *body;
	size_t body_bytes;
};

struct p_op_info {
	const char *name;
	uint16_t op;
	enum p_direction direction;
	enum p_cost credit;
};

// NULL for an unknown number.
const struct p_op_info *p_op_find(uint16_t op);

// Looks at the front of a byte stream: 1 and *ret when a whole frame is there, 0 when more bytes
// are needed, -EBADMSG when no frame can begin like this.
int p_frame_next(const void *bytes, size_t n, struct p_frame *ret);

// For a data or answer_data frame that was put without its bytes, which follow it: sets the lengths.
// `frame` is the frame's start, `head` what was put of it, `n` the bulk bytes.
void p_patch_bulk(uint8_t *frame, size_t head, uint32_t n);

// Structs: struct p_NAME with the fields of protocol.def.
#define MSG(name, number, direction, credit) struct p_##name {
#define MSG_END(name)                                                                              \
	}                                                                                          \
	;
#define ITEM(name) struct p_##name {
#define ITEM_END(name)                                                                             \
	}                                                                                          \
	;
#define U32(f)        uint32_t f;
#define I32(f)        int32_t f;
#define U64(f)        uint64_t f;
#define VEC3(f)       struct p_vec3 f;
#define IDS(f, most)  struct p_ids f;
#define BLOB(f, most) struct p_blob f;
#include "vgpu/protocol/protocol.def"
#include "vgpu/protocol/protocol_undef.h"

// Numbers: p_op_NAME.
enum p_op {
#define MSG(name, number, direction, credit) p_op_##name = number,
#include "vgpu/protocol/protocol_messages.h"
};

// For each message: p_put_NAME() appends a whole frame: 0, -EMSGSIZE when a field or the frame is
// too long (the buffer is as before), -ENOMEM. p_get_NAME() reads a frame's body: 0 or -EBADMSG
// (short, over a cap, bytes left over; *ret is then undefined). For each item: p_put_NAME_item()
// appends it, p_get_NAME_item() reads the next one.
#define MSG(name, number, direction, credit)                                                       \
	int p_put_##name(struct buf *b, uint16_t flags, uint32_t seq, const struct p_##name *m);   \
	int p_get_##name(const struct p_frame *f, struct p_##name *ret);
#define MSG_END(name)
#define ITEM(name)                                                                                 \
	int p_put_##name##_item(struct buf *b, const struct p_##name *m);                          \
	int p_get_##name##_item(struct rd *r, struct p_##name *ret);
#define ITEM_END(name)
#define U32(f)
#define I32(f)
#define U64(f)
#define VEC3(f)
#define IDS(f, most)
#define BLOB(f, most)
#include "vgpu/protocol/protocol.def"
#include "vgpu/protocol/protocol_undef.h"
