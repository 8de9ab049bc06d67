// SPDX-License-Identifier: Apache-2.0
// One client's socket: its input and output buffers and how responses are framed on it.
// Knows HTTP, not what is served.
#pragma once

#include "bytes.h"
#include "http.h"

#define CONNECTION_OUT_HIGH 65536 // unsent bytes above which no more should be produced

struct connection {
	int fd; // -1: free
	struct bytes in, out;
	bool ended;              // the client has closed its side
	bool close_after;        // close when `out` is sent
	bool keep_alive, chunks; // of the request being answered
};

void connection_open(struct connection *c, int fd);
void connection_close(struct connection *c);

// Reads what there is, within the caps. Returns 0 or a negative errno when the connection is dead.
int connection_read(struct connection *c);

// Sends what the socket takes. Returns 0 or a negative errno.
int connection_write(struct connection *c);

// A whole response.
void connection_reply(
	struct connection *c, int status, const char *type, const void *body, size_t len);

// A streamed response: head, pieces, end.
void connection_stream(struct connection *c, const char *type);
void connection_piece(struct connection *c, const void *data, size_t len);
void connection_stream_end(struct connection *c);
