// SPDX-License-Identifier: Apache-2.0
#include "engine/forecast.h"

#define RECORDS_IN_STUN 3    // SEALED, COMMITTED, OWNED
#define RATE_MAX        1e15 // bytes/s

void forecast_measure(struct forecast *f, uint64_t bytes, int64_t ns)
{
	bool small = bytes < FORECAST_MIN_SAMPLE;

	if (bytes == 0 || ns <= 0 || (small && f->rate && !f->rough))
		return;
	double rate = (double)bytes * 1e9 / (double)ns;
	uint64_t got = rate < 1.0 ? 1 : rate > RATE_MAX ? (uint64_t)RATE_MAX : (uint64_t)rate;

	f->rate = small && f->rate > got ? f->rate : got;
	f->rough = small;
}

void forecast_at_least(struct forecast *f, uint64_t rate)
{
	f->rough = f->rough || !f->rate;
	if (f->rough && rate > f->rate)
		f->rate = rate;
}

int64_t forecast_send_ns(const struct forecast *f, uint64_t bytes)
{
	uint64_t rate = f->rate;

	if (bytes == 0)
		return 0;
	if (f->rate_cap && (rate == 0 || rate > f->rate_cap))
		rate = f->rate_cap;
	if (rate == 0)
		return FORECAST_FOREVER;
	double ns = (double)bytes * 1e9 / (double)rate;
	return ns >= (double)(FORECAST_FOREVER / 4) ? FORECAST_FOREVER : (int64_t)ns;
}

static int64_t add(int64_t a, int64_t b)
{
	return a > FORECAST_FOREVER - b ? FORECAST_FOREVER : a + b;
}

int64_t forecast_stun_ns(const struct forecast *f)
{
	int64_t ns = forecast_send_ns(f, f->gpu_bytes);

	ns = add(ns, f->ram_known ? forecast_send_ns(f, f->ram_bytes) : f->ram_budget_ns);
	ns = add(ns, f->drain_ns);
	ns = add(ns, f->device_ns ? f->device_ns : FORECAST_DEVICE_NS);
	ns = add(ns, f->round_trip_ns * FORECAST_ROUND_TRIPS);
	return add(ns, f->record_ns * RECORDS_IN_STUN);
}

int64_t forecast_sure_ns(const struct forecast *f)
{
	struct forecast sure = *f;

	if (!f->rate || f->rough)
		sure.rate = (uint64_t)RATE_MAX;
	return forecast_stun_ns(&sure);
}
