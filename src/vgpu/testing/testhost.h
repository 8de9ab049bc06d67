// SPDX-License-Identifier: Apache-2.0
// For tests: a ferry-vgpu with a control socket and one VM port, and moves between two of them. The
// test is ferryd, QEMU and the guest in one: the guest's end of the port is a testclient's socket.
#pragma once

#include <jansson.h>
#include <sys/types.h>
#include "base/temporary.h"
#include "vgpu/testing/testclient.h"

#define TESTHOST_PORTS_MAX 8

struct testhost {
	pid_t pid;
	int control;
	int64_t id;
	union {           // QEMU's ends: what the guest reads and writes
		int port; // the first, and for most tests the only one
		int ports[TESTHOST_PORTS_MAX];
	};
	bool takes_binaries; // the driver's: the device there is as here. True unless a test says no
	struct temporary folder;
	struct buf in;
};

// It ends with the thread that starts it, in whatever way that ends, and gets no signal of a terminal.
void testhost_start(struct testhost *h, const char *program, bool incoming, const char *tracker);
// The same with a framebuffer of so many bytes and so many ports; the other has 64 MiB and one.
void testhost_start_sized(struct testhost *h, const char *program, bool incoming,
	const char *tracker, uint64_t bytes, int ports);
void testhost_stop(struct testhost *h); // kills, waits, removes the folder

// A request's answer, which must be ok; events that come before it are dropped.
json_t *testhost_call(struct testhost *h, const char *op, json_t *args, const int *fds, size_t n);
void testhost_do(struct testhost *h, const char *op, json_t *args); // the answer does not matter
// Its error's code instead.
void testhost_refused(struct testhost *h, const char *op, json_t *args, const char *code);
json_t *testhost_event(struct testhost *h, const char *event);

// A move in two halves. `to` was started incoming. Opens the channels and does `rounds` rounds of
// pre-copy (0: stop-copy), with between(arg), when not NULL, after each.
void testhost_precopy(struct testhost *from, struct testhost *to, int rounds,
	void (*between)(void *arg), void *arg);
// The guest is stopped: closes the gate, moves the rest, checks that the roots agree, freezes the
// source, and lets the destination run.
void testhost_switch(struct testhost *from, struct testhost *to);
// Both halves, to a new ferry-vgpu that takes the old one's place in *h.
void testhost_move(struct testhost *h, const char *program, const char *tracker, int rounds,
	void (*between)(void *arg), void *arg);
