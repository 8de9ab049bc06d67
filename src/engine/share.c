// SPDX-License-Identifier: Apache-2.0
#include "engine/share.h"

#define IDLE_PART 64
#define LEAST     16

static uint64_t at_least(uint64_t cap)
{
	return cap < SHARE_MIN_CAP ? SHARE_MIN_CAP : cap;
}

static struct share split(uint64_t cap, uint64_t gpu)
{
	return (struct share){ .gpu = gpu, .ram = cap - gpu };
}

struct share share_live(uint64_t cap, bool gpu_sends, bool ram_sends)
{
	if (!cap)
		return (struct share){ 0 };
	cap = at_least(cap);
	uint64_t word = cap / IDLE_PART ? cap / IDLE_PART : 1;
	if (gpu_sends == ram_sends)
		return split(cap, cap / 2);
	return split(cap, gpu_sends ? cap - word : word);
}

struct share share_stun(uint64_t cap, uint64_t gpu_left, uint64_t ram_left)
{
	if (!cap)
		return (struct share){ 0 };
	cap = at_least(cap);
	double gpu = (double)gpu_left + SHARE_UNCOUNTED, ram = (double)ram_left + SHARE_UNCOUNTED;
	uint64_t least = cap / LEAST ? cap / LEAST : 1;
	uint64_t mine = (uint64_t)((double)cap * (gpu / (gpu + ram)));

	if (mine < least)
		mine = least;
	if (mine > cap - least)
		mine = cap - least;
	return split(cap, mine);
}
