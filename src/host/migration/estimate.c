// SPDX-License-Identifier: Apache-2.0
// What a migration would take: the engine's own formula over a sample of how fast the guest writes.
#include "host/migration/driver.h"
#include "base/clock.h"
#include "engine/forecast.h"
#include "engine/policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SAMPLE_MS    500
#define ASSUMED_RATE 125000000ull // 1 Gbit/s, where no migration has measured the link yet
#define SETUP_NS     (1500 * NSEC_PER_MSEC) // starting QEMU and a vGPU on the destination

struct estimating {
	struct vm *vm;
	struct migration_params params;
	migration_estimate_fn fn;
	void *arg;
	struct watch *soon; // for a VM without a vGPU: not inside the call
};

struct plan {
	struct forecast forecast;
	double total_ns, stun_ns;
	unsigned rounds;
	const char *ends; // "target", "limit" or "not-converging"
};

static double send_ns(uint64_t bytes, uint64_t rate)
{
	return (double)bytes * 1e9 / (double)rate;
}

// Goes through the rounds as the engine would, with a workload that writes at the sampled rate.
static void plan_rounds(struct plan *p, enum mode mode, uint64_t allocated, double writes_per_ns,
	const struct migration_params *params)
{
	struct convergence c = { 0 };
	uint64_t left = allocated;

	p->forecast.gpu_bytes = allocated;
	for (;;) {
		struct policy_input in = { .rounds = p->rounds,
			.convergence = &c,
			.forecast_ns = forecast_stun_ns(&p->forecast),
			.sure_ns = forecast_sure_ns(&p->forecast),
			.target_ns = params->target_stun_ms * NSEC_PER_MSEC,
			.limit_ns = params->stun_limit_ms * NSEC_PER_MSEC };
		enum policy_step step = policy_next(mode, &in);
		if (step != POLICY_ROUND) {
			p->ends = step == POLICY_SWITCH          ? "target"
				  : step == POLICY_SWITCH_FORCED ? "limit"
								 : "not-converging";
			break;
		}
		double ns = send_ns(left, p->forecast.rate);
		double dirty = writes_per_ns * ns;
		left = dirty < (double)allocated ? (uint64_t)dirty : allocated;
		p->total_ns += ns;
		p->rounds++;
		p->forecast.gpu_bytes = left;
		convergence_round(&c, left);
	}
}

static json_t *estimate(const struct estimating *x, uint64_t allocated, uint64_t dirty, double ms)
{
	const struct migration_params *params = &x->params;
	struct migrations *all = x->vm->host->migrations;
	uint64_t rate = all && all->last_rate ? all->last_rate : ASSUMED_RATE;
	uint64_t ram = (uint64_t)json_int_or(x->vm->config, "memory_bytes", 0);
	struct plan p = { .ends = "target" };
	enum mode mode = MODE_PRECOPY;

	mode_from_name(params->mode, &mode);
	p.forecast = (struct forecast){ .rate = rate,
		.rate_cap = params->bandwidth_bytes_per_s,
		.ram_budget_ns = params->target_stun_ms * NSEC_PER_MSEC / 2,
		.device_ns = all ? all->last_device_ns : 0,
		.round_trip_ns = NSEC_PER_MSEC,
		.record_ns = NSEC_PER_MSEC };
	if (p.forecast.rate_cap && p.forecast.rate > p.forecast.rate_cap)
		p.forecast.rate = p.forecast.rate_cap;
	if (x->vm->n_vgpus)
		plan_rounds(&p, mode, allocated, ms > 0 ? (double)dirty / (ms * 1e6) : 0, params);
	p.stun_ns = (double)forecast_stun_ns(&p.forecast);
	p.total_ns += send_ns(ram, p.forecast.rate) + p.stun_ns + (double)SETUP_NS;
	return json_pack("{sf sf si ss sI sI sI sI sb}", "total_ms", p.total_ns / 1e6, "stun_ms",
		p.stun_ns / 1e6, "rounds", (int)p.rounds, "ends", p.ends, "allocated_bytes",
		(json_int_t)allocated, "dirty_bytes_per_s",
		(json_int_t)(ms > 0 ? (double)dirty * 1e3 / ms : 0), "ram_bytes", (json_int_t)ram,
		"rate_bytes_per_s", (json_int_t)p.forecast.rate, "rate_measured",
		all && all->last_rate);
}

static void finish(struct estimating *x, uint64_t allocated, uint64_t dirty, double ms,
	const struct ferry_error *e)
{
	json_t *doc = e ? NULL : estimate(x, allocated, dirty, ms);

	x->fn(x->arg, doc, e);
	json_decref(doc);
	watch_remove(x->soon);
	free(x);
}

static void on_sample(void *arg, json_t *ok, const struct ferry_error *e, int *fds, size_t n_fds)
{
	for (size_t i = 0; i < n_fds; i++)
		close(fds[i]);
	finish(arg, ok ? (uint64_t)json_int_or(ok, "allocated_bytes", 0) : 0,
		ok ? (uint64_t)json_int_or(ok, "dirty_bytes", 0) : 0,
		ok ? json_number_value(json_object_get(ok, "ms")) : 0, e);
}

static void on_soon(void *arg)
{
	finish(arg, 0, 0, 0, NULL);
}

int migration_estimate(struct vm *vm, const struct migration_params *p, migration_estimate_fn fn,
	void *arg, struct ferry_error *e)
{
	struct estimating *x = calloc(1, sizeof *x);
	int r = 0;

	if (!x)
		return ferry_fail(e, ENOMEM, "no-memory", "out of memory");
	*x = (struct estimating){ .vm = vm, .params = *p, .fn = fn, .arg = arg };
	if (vm->n_vgpus == 0)
		x->soon = loop_timer(vm->host->loop, clock_now_ns(), on_soon, x);
	else if (!vm->vgpus[0].link)
		r = ferry_fail(e, ENOTCONN, "vgpu", "no control connection to the vGPU");
	else
		r = link_request(vm->vgpus[0].link, "sample", json_pack("{si}", "ms", SAMPLE_MS),
			NULL, 0, on_sample, x);
	if (r < 0) {
		free(x);
		return ferry_fail(e, r, "vgpu", "the vGPU cannot be sampled");
	}
	return 0;
}
