// SPDX-License-Identifier: Apache-2.0
// What each path answers.
#pragma once

#include "jobs.h"

// Answers a request on `c`, at once or by adding a job.
void routes_handle(struct jobs *j, struct connection *c, const struct http_request *r);

// Answers with an error in JSON.
void routes_error(struct connection *c, int status, const char *message);
