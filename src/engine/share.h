// SPDX-License-Identifier: Apache-2.0
// One bandwidth for a whole migration, divided between its two senders: the vGPU's channels and
// the VM's own stream. Each keeps to a rate of its own; the two rates always add up to the cap.
//
//   one of them sends             all of it, but for the 64th that the other may need to say a word
//   both, while the guest runs    half each
//   both, in the stun             by what each has left, so that both end at the same time; what
//                                 nobody counts (device state, records) is SHARE_UNCOUNTED each,
//                                 and neither has less than a 16th
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SHARE_UNCOUNTED (1u << 20) // bytes
#define SHARE_MIN_CAP   2          // bytes/s: a share of nothing would be no limit at all

struct share {
	uint64_t gpu, ram; // bytes/s, never 0 with a cap; both 0 without one
};

// While the guest runs. `cap` in bytes/s, 0: none; less than SHARE_MIN_CAP counts as that.
struct share share_live(uint64_t cap, bool gpu_sends, bool ram_sends);
// In the stun, with the bytes that each has left.
struct share share_stun(uint64_t cap, uint64_t gpu_left, uint64_t ram_left);
