// SPDX-License-Identifier: Apache-2.0
// One migration as a story: 1 GB of framebuffer at 1 GB/s, a workload that writes 100 MB/s, a VM of
// 250 MB, verified. Times in ms; "a" is the source, "b" the destination.
#include "engine/cluster_sim.h"
#include "base/test.h"

static const char story[] =
	"     0.0 a: new -> recording (asked to migrate)\n"
	"     0.0 a   write active\n"
	"     0.2 a: recording -> preparing (record active)\n"
	"     0.2 a   peer-prepare\n"
	"     0.8 b: new -> recording (asked to prepare)\n"
	"     0.8 b   write incoming\n"
	"     1.0 b: recording -> starting (record incoming)\n"
	"     1.0 b   start-incoming\n"
	"   101.0 b: starting -> receiving (started)\n"
	"   101.0 b   answer-prepared\n"
	"   101.5 a: preparing -> arming (destination prepared)\n"
	"   101.5 a   arm\n"
	"   103.5 a   stream-start\n"
	"   103.5 a: arming -> copying (rounds)\n"
	"   103.5 a   round 1\n"
	"  1104.5 a   round 2\n"
	"  1205.6 a: copying -> flowing (forecast fits the target)\n"
	"  1205.6 a   stream-release\n"
	"  1255.6 a   round 3\n"
	"  1316.7 a   round 4\n"
	"  1368.8 a   round 5\n"
	"  1420.0 a   round 6\n"
	"  1455.6 a: flowing -> stopping (guest stopped)\n"
	"  1455.6 a   gate-close\n"
	"  1458.6 a: stopping -> draining (gate closed)\n"
	"  1458.6 a   ports-drain\n"
	"  1460.6 a: draining -> handover (drained)\n"
	"  1460.6 a   peer-switch\n"
	"  1460.6 a   vm-continue\n"
	"  1460.6 a   final\n"
	"  1480.6 b: receiving -> sealing (all is here)\n"
	"  1480.6 b   write sealed\n"
	"  1480.8 b: sealing -> sealed (record sealed)\n"
	"  1480.8 b   send-sealed\n"
	"  1481.6 a: handover -> verifying (sealed)\n"
	"  1481.6 a   verify\n"
	"  1531.6 a: verifying -> committing (completed here and sealed there)\n"
	"  1531.6 a   write committed\n"
	"  1531.8 a: committing -> committed (record committed)\n"
	"  1531.8 a   peer-committed\n"
	"  1532.3 b: sealed -> owning (committed by the source)\n"
	"  1532.3 b   write owned\n"
	"  1532.6 b: owning -> taking (record owned)\n"
	"  1532.6 b   own-gpu\n"
	"  1534.6 b: taking -> resuming (vGPU owned)\n"
	"  1534.6 b   cont\n"
	"  1537.6 b: resuming -> running (the VM runs)\n"
	"  1537.6 b   answer running\n"
	"  1538.1 a: committed -> releasing (it runs there)\n"
	"  1538.1 a   release\n"
	"  1543.1 a: releasing -> released (our copy is gone)\n"
	"  1543.1 a   outcome completed\n";

static void test_the_story(void)
{
	static struct sim sim;

	sim_init(&sim, MODE_PRECOPY, true, true);
	sim.tracing = true;
	sim_run(&sim);
	CHECK_STR(sim.trace, story);
}

// What the vGPU and the VM's stream may send of 640 MB/s, and why: all but a 64th to who sends alone,
// halves while both do, in the stun by what each has left, and at last to the one that is not done.
static const char shares[] =
	"   103.5 a   share 630000000, 10000000\n"
	"   103.5 a   stream-start\n"
	"   103.5 a: arming -> copying (rounds)\n"
	"   103.5 a   round 1\n"
	"  1104.5 a   round 2\n"
	"  1205.6 a: copying -> flowing (forecast fits the target)\n"
	"  1205.6 a   share 10000000, 630000000\n"
	"  1205.6 a   stream-release\n"
	"  1255.6 a   share 320000000, 320000000\n"
	"  1255.6 a   round 3\n"
	"  1266.7 a   share 10000000, 630000000\n"
	"  1316.7 a   share 320000000, 320000000\n"
	"  1316.7 a   round 4\n"
	"  1318.8 a   share 10000000, 630000000\n"
	"  1368.8 a   share 320000000, 320000000\n"
	"  1368.8 a   round 5\n"
	"  1370.0 a   share 10000000, 630000000\n"
	"  1420.0 a   share 320000000, 320000000\n"
	"  1420.0 a   round 6\n"
	"  1421.2 a   share 10000000, 630000000\n"
	"  1455.6 a: flowing -> stopping (guest stopped)\n"
	"  1455.6 a   share 630000000, 10000000\n"
	"  1460.6 a: draining -> handover (drained)\n"
	"  1460.6 a   share 231467374, 408532626\n"
	"  1460.6 a   vm-continue\n"
	"  1460.6 a   final\n"
	"  1461.7 a   share 10000000, 630000000\n"
	"  1481.6 a: handover -> committing (completed here and sealed there)\n";

static void test_a_cap_is_divided(void)
{
	static struct sim sim;
	static char told[SIM_TRACE];

	sim_init(&sim, MODE_PRECOPY, true, false);
	sim.cfg.rate_cap = 640000000;
	sim.tracing = true;
	sim_run(&sim);
	for (char *line = strtok(sim.trace, "\n"); line; line = strtok(NULL, "\n"))
		if (strstr(line, "share") || strstr(line, "round") || strstr(line, "stream") ||
			strstr(line, "flowing") || strstr(line, "handover") ||
			strstr(line, "final") || strstr(line, "vm-continue")) {
			strcat(told, line);
			strcat(told, "\n");
		}
	CHECK_STR(told, shares);
}

// What was forecast when the guest stopped is within 30 ms of what came.
static void test_the_forecast_came_true(void)
{
	static struct sim sim;

	sim_init(&sim, MODE_PRECOPY, true, false);
	sim_run(&sim);
	int64_t stun = sim.dest.at.running - sim.source.at.stopped;
	int64_t off = sim.source.forecast_at_switch_ns - stun;
	CHECK(off > -30 * ENGINE_NSEC_MSEC && off < 30 * ENGINE_NSEC_MSEC);
}

int main(void)
{
	RUN(test_the_story);
	RUN(test_a_cap_is_divided);
	RUN(test_the_forecast_came_true);
	return 0;
}
