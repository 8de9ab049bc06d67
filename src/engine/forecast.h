// SPDX-License-Identifier: Apache-2.0
// The stun forecast: how long the guest would be stopped if the switchover came now.
//
//   stun = drain + (gpu rest + object deltas) / rate + ram rest + device + handshakes
//
// drain       how long the kernels in flight still run (0 where unknown)
// gpu rest    dirty bytes of the framebuffer; all that is allocated where no round was made
// rate        bytes/s that the last round (without a vGPU: pass over the RAM) of at least
//             FORECAST_MIN_SAMPLE bytes reached (zero pages cost nothing and count nothing), or what
//             the caller knows of the link; else, roughly, the best of smaller ones and of what the
//             VM says of its stream: latency is the most of those, so no stun is refused for it
// ram rest    bytes the VM still has to send over the same rate, once the VM has stopped or may
//             stop over its budget; before that, the whole part of the budget that the VM was given
//             (its own downtime limit): it stops no sooner than its rest fits
// device      from continue to completed with nothing left to send: the last migration's figure,
//             else 30 ms (2-50 ms measured for an idle 256 MiB VM)
// handshakes  FORECAST_ROUND_TRIPS times the link's round trip, and 3 durable records
//
// vGPU and RAM go side by side over one link, so their bytes add up. All times ns.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define FORECAST_MIN_SAMPLE  (8u << 20) // bytes; a smaller round measures latency, not rate
#define FORECAST_ROUND_TRIPS 6          // barrier, finish, seal, commit, running, and the drain's
#define FORECAST_DEVICE_NS   30000000LL
#define FORECAST_FOREVER     INT64_MAX // nothing is known of the link

struct forecast {
	uint64_t gpu_bytes;    // dirty pages and deltas
	uint64_t ram_bytes;    // what the VM says that it has left
	bool ram_known;        // that is what it will have left in the stun
	int64_t ram_budget_ns; // counted until then
	uint64_t rate;         // bytes/s, 0 unknown
	bool rough;        // of small rounds, which tell how slow a start is: the link does more
	uint64_t rate_cap; // the operator's bandwidth, 0 none
	int64_t drain_ns, device_ns, round_trip_ns, record_ns;
};

// A finished round's bytes and time: refreshes the rate where the round is large enough, or
// nothing better is known: the fastest of small ones.
void forecast_measure(struct forecast *f, uint64_t bytes, int64_t ns);
// What somebody else reached on the same link: counts where only small rounds have been measured.
void forecast_at_least(struct forecast *f, uint64_t rate);
// Time to send `bytes` at the known rate; FORECAST_FOREVER without one (0 for 0 bytes).
int64_t forecast_send_ns(const struct forecast *f, uint64_t bytes);
int64_t forecast_stun_ns(const struct forecast *f);
// The same, with bytes that cost no more than is sure: nothing but for the operator's bandwidth where
// the rate is unknown or rough.
int64_t forecast_sure_ns(const struct forecast *f);
