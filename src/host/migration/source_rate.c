// SPDX-License-Identifier: Apache-2.0
// The operator's bandwidth, as the engine divides it between ferry-vgpu and ferry-relay.
#include "host/migration/driver.h"
#include "host/migration/relay_process.h"
#include "base/log.h"

// An older ferry-vgpu, or a relay that has done its work: each keeps the rate that it has.
static void on_rate(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	(void)ok;
	if (e)
		log_info("migration %.8s: a rate was not changed: %s", m->id, e->message);
}

static json_t *rate(uint64_t bytes_per_s)
{
	return json_pack("{sI}", "bandwidth_bytes_per_s", (json_int_t)bytes_per_s);
}

// The one that loses goes first, so that both together stay under the cap.
void source_set_share(struct migration *m, const struct share *share)
{
	bool gpu_first = share->gpu < m->share.gpu;

	m->share = *share;
	if (gpu_first)
		call_gpu(m, "move.rate", rate(share->gpu), NULL, 0, on_rate);
	call_link(m, relay_link(m->relay), "rate", rate(share->ram), NULL, 0, on_rate);
	if (!gpu_first)
		call_gpu(m, "move.rate", rate(share->gpu), NULL, 0, on_rate);
}
