// SPDX-License-Identifier: Apache-2.0
// The host's one TCP port for peers: reads each connection's preface, with a deadline, and hands
// the connection on. Nothing else is accepted.
#pragma once

#include "base/error.h"

struct host;
struct listener;

struct listener *listener_new(struct host *h, const char *address, struct ferry_error *e);
struct listener *listener_free(struct listener *l); // NULL-safe; returns NULL
int listener_port(const struct listener *l);
// How long connections made from now on may take for their preface; 5 s at first.
void listener_set_timeout_ms(struct listener *l, int ms);
