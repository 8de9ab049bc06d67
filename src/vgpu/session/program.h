// SPDX-License-Identifier: Apache-2.0
// Programs: text or binary, built on the worker's thread; and the native binary, taken after the
// guest's launches, that spares the destination of a move the compiler. A compiled program's holds what
// a linker takes. Main thread only.
#pragma once

#include "base/buf.h"
#include "vgpu/backend/backend.h"
#include "vgpu/protocol/protocol.h"
#include "vgpu/session/object.h"

#define PROGRAM_SHAPES 1024 // remembered of all its kernels

#define PROGRAM_DEPTH 4 // of libraries linked into libraries, for what looks into them

enum { SAYS_KNOWN = 1, SAYS_PRINTF = 2, SAYS_OVERLOADABLE = 4 };

enum program_origin { PROGRAM_SOURCE, PROGRAM_BINARY, PROGRAM_LINKED };

// What a build is for.
enum build_purpose {
	BUILD_ASKED,    // the guest's, which waits for the answer
	BUILD_INCOMING, // a move's: if a guest waits, it is answered once this host owns the program
	BUILD_LATE,     // of a program whose build was deferred, and which is needed after all
};

// What the last build was asked to do; enough to do it again.
struct build_request {
	int kind; // of struct be_build
	char *options;
	struct program **inputs; // references: headers, or compiled programs
	char **names;            // of headers; NULL otherwise
	uint32_t n_inputs;
};

struct program {
	struct object o;               // must be first
	struct program *next, **place; // of its session's list
	enum program_origin origin;
	struct buf text;       // source or the guest's own binary
	unsigned says;         // SAYS_*, with what went into it; 0: not looked yet
	unsigned own_says;     // the same, of the text alone
	uint64_t total;        // bytes of text that the guest announced
	struct be_program *be; // the worker's while building
	bool building;
	bool requested; // `request` is set: a build was asked for
	struct build_request request;
	// The parts of a linked program whose native binary came along are compiled here only when
	// something needs them; this is set until that is done.
	bool deferred;
	int32_t build_result; // of the last build: what clBuildProgram returned
	bool executable;
	bool was_executable; // an incoming one, where it came from
	uint32_t answer_seq; // while a guest waits for the build's answer
	bool wants_answer;
	uint64_t builds;     // how often one was asked for
	struct buf restored; // an incoming one's answer, given when this host owns it
	struct buf shapes;   // u64 each: what launches made the driver specialise it for, in order
	struct buf native;   // holds the code for the first native_shapes of them; empty: none
	size_t native_shapes;
	bool taking_native;
	struct buf questions; // seqs (u32) of the guest's program_query_binary not answered yet
	// While it is being built: a better record came, or a guest asked that does not know of a
	// late build; build again from these.
	bool again;
	enum build_purpose next_purpose;
	struct build_request next_request;
	struct buf next_native;
};

// The first reference is the caller's; -errno.
int program_new(struct session *s, uint64_t serial, enum program_origin origin, uint64_t total,
	struct program **ret);
// Whether its kernels may print: its text, or that of what went into it, says "printf".
bool program_prints(struct program *p);
// Whether it may call what no library defines, which the driver's compiler lets pass: its text declares
// functions of the kernel language again, or a part of it came as a binary.
bool program_may_lack(struct program *p);
bool program_is_complete(const struct program *p); // its text is here
bool program_is_executable(const struct program *p);
bool program_is_compiled(const struct program *p); // by clCompileProgram, in this process
bool program_is_busy(const struct program *p);     // is being built, as far as its guest knows
const struct build_request *program_request(const struct program *p); // what it was last asked
// A launch of this shape (kernel_shape()) is over, so the driver has code for it now: a native binary
// taken before is worth less.
void program_specialised(struct program *p, uint64_t shape);
bool program_has_shape(const struct program *p, uint64_t shape);

// Starts a build on the worker, or when the one under way is over. Takes over the request's members,
// also on error. An incoming program's native binary is used in the compiler's place. The answer goes
// to the guest when seq is given through program->wants_answer. 0 or -ENOMEM.
int program_start_build(
	struct program *p, struct build_request *request, enum build_purpose purpose);
// An incoming compilation, which gave `result`: it is done when something needs it. Takes over the
// request's members. Not while one is under way.
void program_defer_build(struct program *p, struct build_request *request, int32_t result);
// What the worker is given after this finds the program built, deferred or not. 0 or -ENOMEM.
int program_need(struct program *p);
void build_request_free(struct build_request *r);
// The program's session is over: programs that are each other's headers let go of each other.
void program_forget_request(struct program *p);

// An incoming native binary and the shapes that it holds, or none: used by the next build, and taken
// along by a later move for as long as no launch has another shape.
int program_set_native(struct program *p, struct p_blob native, struct p_blob shapes);
// What is built now is not what the native binary, if there is one, was taken of.
void program_forget_native(struct program *p);

// This host owns it now: gives the answers that the guest waits for, if it does.
void program_own(struct program *p);

// What it was made of, all the way down: a copy, freed with program_origin_free(), also on error.
// *ret_bytes of memory, also on error. -E2BIG where that is more than can be built again elsewhere; -ENOMEM.
int program_origin_copy(struct be_origin *to, const struct program *p, uint64_t *ret_bytes);
void program_origin_free(struct be_origin *o);

// Takes the native binary on the worker when there is a newer one to take; done(arg) then, or at
// once. The program's `changed` grows when there is something new.
int program_take_native(struct program *p, void (*done)(void *arg), void *arg);
// All bytes of a guest's own binary are here: answers whether it is one of this device.
void program_binary_arrived(struct program *p, uint32_t seq);
// Answers program_query_binary from the worker; where this vGPU moves before that, the destination does.
int program_query_binary(struct program *p, uint32_t seq);
