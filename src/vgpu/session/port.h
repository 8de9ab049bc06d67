// SPDX-License-Identifier: Apache-2.0
// A port: one byte stream to one guest process at a time. Knows descriptors and exactly-once bytes;
// what they mean is the session's. Main thread only.
//
// A port of a VM is our end of a socketpair(2) whose other end QEMU has, and a duplicate of that
// other end, through which we take back what QEMU had not read when the VM stopped. A port of a
// local program is a connected unix socket.
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "vgpu/vgpu.h"

#define PORT_UNREAD_MAX (16u << 20) // input that waits for the gate; more is a breach

struct session;

struct port {
	struct vgpu *v;
	size_t index;
	int fd;      // owned
	int qemu_fd; // owned; -1 for a local program
	struct watch *watch;
	bool wants_out; // watched for EPOLLOUT
	bool closed;    // the other side is gone, or broke the protocol (local programs)
	bool searching; // the stream broke: everything before the next hello is dropped
	bool over;      // local programs: to be freed after the batch
	bool starved;   // a read waits until less is unsent
	bool stalled;   // input waits until less is unsent, or fewer builds are under way
	int pass_fd;    // goes with the next bytes (SCM_RIGHTS); borrowed; -1: none
	struct buf in, out;
	size_t in_at, out_at; // consumed
	struct session *session;
};

// Descriptors become the port's, also on error. It gets the lowest free index from `index` on.
int port_new(struct vgpu *v, size_t index, int fd, int qemu_fd, struct port **ret,
	struct ferry_error *e);
struct port *port_free(struct port *p); // ends its session; NULL-safe, returns NULL

struct buf *port_out(struct port *p);      // append whole frames, then port_flush() once
size_t port_backlog(const struct port *p); // unsent bytes
// A descriptor, borrowed, that goes along with bytes not later than those appended next.
void port_pass_fd(struct port *p, int fd);
void port_flush(struct port *p); // writes what the socket takes
void port_parse(struct port *p); // acts on what was read, unless the gate is closed
// Acts and writes for all ports: after the gate opened, after commands ended.
void ports_pump(struct vgpu *v);

// The guest may have closed this port. Reads what lies in the socket, which holds less than one turn
// takes; then ends the session on it if that is still the one of this number (0: none). Returns the
// number of the session that is there now, 0 where there is none. Only with the gate open.
//
// A close overtakes bytes, and bytes overtake what ferryd hears of it; so the word "closed" alone
// does not say whose port was closed. It takes three steps, each after the answer to the one before:
//   1. port_closed(p, 0) names session S: its hello has been read.
//   2. QEMU is asked whether the port is open in the guest *now* (query-chardev, "frontend-open").
//   3. Closed: port_closed(p, S).
// The guest's kernel waits for QEMU to note that a port is open before open(2) returns, so S's port was
// open in QEMU's eyes before its hello was written. Closed at step 2, later than that, is S's own close.
// A process that opens the port after step 2 begins another session, with another number, which step 3
// leaves alone. Neither clocks nor the order of QMP's events (which QEMU delays and merges, at most one
// a second and port) are relied on.
uint64_t port_closed(struct port *p, uint64_t session);

// Reads until empty: bytes read, or -errno.
ssize_t port_drain(struct port *p);
// Takes what QEMU has not read back, to the front of what is unsent: bytes, or -errno.
ssize_t port_take_back(struct port *p);
