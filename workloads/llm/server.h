// SPDX-License-Identifier: Apache-2.0
// The HTTP server: one thread, poll(2), and between polls one step of loading or generating.
#pragma once

#include "model.h"
#include "options.h"

// Loads `m` and serves it until SIGINT or SIGTERM. Prints "listening on ADDR:PORT" first.
int server_run(struct model *m, const struct options *o, struct failure *f);
