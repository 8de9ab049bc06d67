// SPDX-License-Identifier: Apache-2.0
// Guest memory with a right answer: groups of pages are counted up one after another, each for some
// milliseconds and then left alone for long. A page whose last writes were not seen by whoever copies
// the memory away keeps a count that is too small. No OpenCL.
//
// usage: memory MEBIBYTES
// Prints "counting" when all pages are there; after SIGTERM "memory ok VISITS" or "memory bad PAGE".
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE  4096
#define GROUP 64      // pages that are written together: few enough for any TLB
#define ADDS  1920000 // in one visit to a group: some 10 ms under TCG

static volatile sig_atomic_t ended;

static void on_signal(int signo)
{
	ended = 1;
}

static volatile uint32_t *word(uint8_t *memory, size_t page)
{
	return (volatile uint32_t *)(memory + page * PAGE + page % 64 * 64);
}

static void visit(uint8_t *memory, size_t group)
{
	for (uint32_t i = 0; i < ADDS; i++)
		++*word(memory, group * GROUP + i % GROUP);
}

static int verify(uint8_t *memory, size_t groups, uint64_t visits)
{
	for (size_t page = 0; page < groups * GROUP; page++) {
		size_t group = page / GROUP;
		uint32_t times = (uint32_t)(visits / groups + (group < visits % groups));
		if (*word(memory, page) == times * (ADDS / GROUP))
			continue;
		printf("memory bad %zu: %u, not %u\n", page, *word(memory, page),
			times * (ADDS / GROUP));
		return 1;
	}
	printf("memory ok %llu\n", (unsigned long long)visits);
	return 0;
}

int main(int argc, char **argv)
{
	size_t bytes = (argc > 1 ? strtoul(argv[1], NULL, 10) : 64) << 20;
	size_t groups = bytes / PAGE / GROUP;
	uint8_t *memory = groups ? aligned_alloc(PAGE, bytes) : NULL;
	uint64_t visits = 0;

	if (!memory) {
		puts("memory: no memory");
		return 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGTERM, on_signal);
	memset(memory, 0, bytes);
	puts("counting");
	while (!ended)
		visit(memory, visits++ % groups);
	return verify(memory, groups, visits);
}
