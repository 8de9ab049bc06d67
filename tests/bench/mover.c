// SPDX-License-Identifier: Apache-2.0
// How fast the movers are over loopback TCP, both ends in one process.
// Usage: mover [--mib N] [--channels N] [--tracker wp|digest] [--bandwidth BYTES_PER_S]
//              [--mode precopy|stop-copy] [--dirty PERCENT] [--rounds N]
// One JSON line with GB/s (10^9 bytes of pages per second) of each part.
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/loop.h"
#include "base/socket.h"
#include "vgpu/move/move_dest.h"
#include "vgpu/move/move_source.h"

struct options {
	uint64_t mib, bandwidth;
	unsigned channels, dirty, rounds;
	enum move_mode mode;
	const struct tracker_ops *tracker;
};

static struct options o = { .mib = 512, .channels = 2, .dirty = 5, .rounds = 3 };
static struct page_run extent;
static bool answered;
static bool received;
static struct move_round_result result;

static void die(const char *what, const struct ferry_error *e)
{
	fprintf(stderr, "mover: %s: %s\n", what, e ? e->message : "failed");
	exit(1);
}

static void on_round(void *arg, const struct move_round_result *r, const struct ferry_error *e)
{
	(void)arg;
	if (e)
		die("round", e);
	result = *r;
	answered = true;
}

static void on_failed(void *arg, const struct ferry_error *e)
{
	die(arg, e);
}

static void on_received(void *arg, struct digest_root root, uint64_t bytes)
{
	(void)arg;
	(void)root;
	(void)bytes;
	received = true;
}

static void parse(int argc, char **argv)
{
	static const struct option longs[] = { { "mib", 1, NULL, 'm' },
		{ "channels", 1, NULL, 'c' }, { "tracker", 1, NULL, 't' },
		{ "bandwidth", 1, NULL, 'b' }, { "mode", 1, NULL, 'o' }, { "dirty", 1, NULL, 'd' },
		{ "rounds", 1, NULL, 'r' }, { 0 } };
	struct ferry_error e = FERRY_ERROR_INIT;
	const char *tracker = "auto";
	char reason[TRACKER_REASON_MAX];
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		uint64_t n = optarg ? strtoull(optarg, NULL, 10) : 0;

		if (c == 'm')
			o.mib = n;
		else if (c == 'c')
			o.channels = (unsigned)n;
		else if (c == 't')
			tracker = optarg;
		else if (c == 'b')
			o.bandwidth = n;
		else if (c == 'd')
			o.dirty = (unsigned)n;
		else if (c == 'r')
			o.rounds = (unsigned)n;
		else if (c != 'o' || move_mode_parse(optarg, &o.mode, &e))
			exit(2);
	}
	if (!o.mib || !o.channels || o.channels > MOVE_MAX_CHANNELS || o.dirty > 100)
		exit(2);
	if (tracker_choose(tracker, &o.tracker, reason, &e))
		die("tracker", &e);
}

static void connect_pairs(int *at_a, int *at_b)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	_cleanup_fd_ int listener = tcp_listen("127.0.0.1:0", &e);
	char address[32];

	snprintf(address, sizeof(address), "127.0.0.1:%d", tcp_local_port(listener));
	for (unsigned i = 0; i < o.channels; i++) {
		at_a[i] = tcp_connect(address, 1000, &e);
		at_b[i] = accept(listener, NULL, NULL);
		if (at_a[i] < 0 || at_b[i] < 0)
			die("connect", &e);
	}
}

static void fill(struct page_space *s)
{
	uint64_t *p = page_space_at(s, extent.first), x = 88172645463325252ULL;

	for (uint64_t i = 0; i < extent.count * PAGE_BYTES / 8; i++) { // xorshift64
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		p[i] = x;
	}
}

// Writes o.dirty percent of the pages, spread evenly in runs of 16.
static void dirty(struct page_space *s, unsigned round)
{
	for (uint64_t p = 0; p < extent.count; p++)
		if (p / 16 * 37 % 100 < o.dirty)
			((uint64_t *)page_space_at(s, extent.first + p))[round] ^= p + round;
}

static void wait_for(struct loop *l, const bool *flag)
{
	while (!*flag)
		loop_once(l, 1000);
}

static void print(const char *what)
{
	printf("%s{\"n\":%u,\"mib\":%.1f,\"ms\":%.1f,\"gb_per_s\":%.2f,\"dirty_mib\":%.1f}", what,
		result.n, (double)result.bytes / 1048576.0, result.ms,
		(double)result.bytes / 1e6 / result.ms, (double)result.dirty_bytes / 1048576.0);
}

static void run(struct loop *l, struct page_space *s, struct move_source *m)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	printf("{\"mib\":%llu,\"channels\":%u,\"tracker\":\"%s\",\"rounds\":[",
		(unsigned long long)o.mib, o.channels, o.tracker->name);
	for (unsigned n = 1; o.mode == MOVE_PRECOPY && n <= o.rounds; n++) {
		answered = false;
		if (move_source_round(m, n, on_round, NULL, &e))
			die("round", &e);
		wait_for(l, &answered);
		print(n > 1 ? "," : "");
		dirty(s, n);
	}
	answered = false;
	if (move_source_final(m, on_round, NULL, &e))
		die("final", &e);
	wait_for(l, &answered);
	wait_for(l, &received);
	print("],\"final\":");
}

int main(int argc, char **argv)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	int at_a[MOVE_MAX_CHANNELS], at_b[MOVE_MAX_CHANNELS];
	struct page_space *a, *b;
	struct move_source *source;
	struct move_dest *dest;
	struct loop *l = loop_new();
	struct rusage u;

	parse(argc, argv);
	connect_pairs(at_a, at_b);
	if (page_space_new(o.mib << 20, &a, &e) || page_space_new(o.mib << 20, &b, &e) ||
		page_space_alloc(a, o.mib << 20, &extent, &e))
		die("page space", &e);
	fill(a);
	if (move_dest_receive(&(struct move_dest_spec){ .loop = l,
				      .space = b,
				      .fds = at_b,
				      .n_fds = o.channels,
				      .vm_log = -1,
				      .events = { .received = on_received,
					      .failed = on_failed,
					      .arg = "destination" } },
		    &dest, &e))
		die("receive", &e);
	if (move_source_begin(&(struct move_source_spec){ .loop = l,
				      .space = a,
				      .tracker = o.tracker,
				      .mode = o.mode,
				      .bandwidth = o.bandwidth,
				      .fds = at_a,
				      .n_fds = o.channels,
				      .vm_log = -1,
				      .events = { .failed = on_failed, .arg = "source" } },
		    &source, &e))
		die("begin", &e);
	run(l, a, source);
	getrusage(RUSAGE_SELF, &u);
	printf(",\"cpu_s\":%.2f}\n",
		(double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
			(double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
	move_source_abort(source);
	move_dest_close(dest);
	page_space_close(a);
	page_space_close(b);
	loop_free(l);
	return 0;
}
