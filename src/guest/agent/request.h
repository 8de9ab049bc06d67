// SPDX-License-Identifier: Apache-2.0
// The agent's protocol (docs/interfaces.md, section 9): a line of JSON in, a line of JSON out.
#pragma once

#include <stddef.h>
#include "base/buf.h"
#include "guest/agent/job.h"

#define AGENT_VERSION  1
#define AGENT_LINE_MAX (128u << 10)
#define AGENT_CHUNK    24576 // bytes of output in an answer, each of two; 32 KiB as base64

// Carries out one request and appends its answer with a newline to `out`. A line that is no request
// has no answer: after a reconnection the rest of an old line may come first.
void agent_request(struct jobs *jobs, const char *line, size_t n, struct buf *out);
