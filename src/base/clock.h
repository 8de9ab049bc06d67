// SPDX-License-Identifier: Apache-2.0
// Time in nanoseconds. Only programs call this; the engine is told the time with each event.
#pragma once

#include <stdint.h>

#define NSEC_PER_USEC 1000LL
#define NSEC_PER_MSEC 1000000LL
#define NSEC_PER_SEC  1000000000LL

// CLOCK_MONOTONIC: for durations on one host.
int64_t clock_now_ns(void);
// CLOCK_REALTIME: for records and for what two hosts compare (stop_at_ns, resume_at_ns).
int64_t clock_wall_ns(void);
