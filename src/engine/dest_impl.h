// SPDX-License-Identifier: Apache-2.0
// Between the destination's own files: handlers named by the table in dest.c.
#pragma once

#include "engine/dest.h"

typedef void (*dest_fn)(struct dest *d, const struct event *ev, struct actions *out);

#define DEST_ASK_NS  (1000 * ENGINE_NSEC_MSEC) // how often a sealed destination asks
#define DEST_CONT_NS (250 * ENGINE_NSEC_MSEC)  // how often a refused start or record is tried again

void dest_go(struct dest *d, enum dest_state to, const char *reason, struct actions *out);

// dest_receive.c: until SEALED.
void dest_on_start(struct dest *, const struct event *, struct actions *);
void dest_on_incoming(struct dest *, const struct event *, struct actions *);
void dest_on_started(struct dest *, const struct event *, struct actions *);
void dest_on_loaded(struct dest *, const struct event *, struct actions *);
void dest_on_received(struct dest *, const struct event *, struct actions *);
void dest_on_broken(struct dest *, const struct event *, struct actions *);
void dest_on_aborted(struct dest *, const struct event *, struct actions *);
void dest_on_discarded(struct dest *, const struct event *, struct actions *);
void dest_note(struct dest *, const struct event *, struct actions *);

// dest_own.c: from SEALED.
void dest_write(struct dest *d, enum record_state r, struct actions *out);
void dest_on_sealed(struct dest *, const struct event *, struct actions *);
void dest_on_ask(struct dest *, const struct event *, struct actions *);
void dest_on_link_lost(struct dest *, const struct event *, struct actions *);
void dest_on_link_up(struct dest *, const struct event *, struct actions *);
void dest_on_committed(struct dest *, const struct event *, struct actions *);
void dest_on_committed_again(struct dest *, const struct event *, struct actions *);
void dest_on_committed_early(struct dest *, const struct event *, struct actions *);
void dest_on_run_here(struct dest *, const struct event *, struct actions *);
void dest_on_owned(struct dest *, const struct event *, struct actions *);
void dest_on_gpu_owned(struct dest *, const struct event *, struct actions *);
void dest_on_runs(struct dest *, const struct event *, struct actions *);
void dest_on_refused(struct dest *, const struct event *, struct actions *);
void dest_on_cont_due(struct dest *, const struct event *, struct actions *);
void dest_on_retry_record(struct dest *, const struct event *, struct actions *);
void dest_on_write_again(struct dest *, const struct event *, struct actions *);
void dest_on_renounce(struct dest *, const struct event *, struct actions *);
void dest_on_renounced(struct dest *, const struct event *, struct actions *);
void dest_on_lost(struct dest *, const struct event *, struct actions *);
void dest_on_found_running(struct dest *, const struct event *, struct actions *);
void dest_on_found_paused(struct dest *, const struct event *, struct actions *);
void dest_on_found_gone(struct dest *, const struct event *, struct actions *);
