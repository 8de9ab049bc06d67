// SPDX-License-Identifier: Apache-2.0
// The agent's end of its port: lines in, lines out, for as long as the guest lives. The host may go
// and come back at any time, also another one.
#pragma once

#include "base/loop.h"
#include "guest/agent/job.h"

struct agent_port;

// Serves the descriptor, which it owns afterwards (made non-blocking). NULL without memory.
struct agent_port *agent_port_new(struct loop *l, int fd, struct jobs *jobs);
struct agent_port *agent_port_free(struct agent_port *p); // NULL-safe; returns NULL
