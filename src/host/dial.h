// SPDX-License-Identifier: Apache-2.0
// Connects to a peer by name, in the background, and writes the preface.
#pragma once

#include "host/peer.h"

struct dial;

// fn once, never inside dial_new(), unless dial_free() comes first. The socket is blocking.
struct dial *dial_new(struct host *h, const char *name, const struct preface *p, int timeout_ms,
	peer_channel_fn fn, void *arg); // NULL: no memory
struct dial *dial_free(struct dial *d); // NULL-safe; returns NULL; not needed after fn
