// SPDX-License-Identifier: Apache-2.0
#include "flat.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/sanitized.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SWITCHES_MAX 10000
#define SWITCHES_MIN 8
#define SAY_S        5
#define SLACK_FDS    2          // files that a compiler has open just then
#define SLACK_KIB    (8u << 10) // what allocators keep differs from switch to switch

enum { PROGRAM_FDS, VGPU_FDS, CARRIER_FDS, PROGRAM_KIB, VGPU_KIB, FIGURES };

static const char *const names[FIGURES] = { "program's descriptors", "ferry-vgpu's descriptors",
	"carrier's descriptors", "program's KiB", "ferry-vgpu's KiB" };
// Where what was freed is kept (up to 256 MiB) memory tells nothing about leaks.
static const int judged = SANITIZED ? PROGRAM_KIB : FIGURES;
static unsigned seen[SWITCHES_MAX][FIGURES];
static unsigned n_seen;

static unsigned descriptors(pid_t pid)
{
	char path[64];
	unsigned n = 0;

	snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	DIR *d = opendir(path);
	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

// Private memory: the framebuffer, which is shared, is as large as the program has written it.
static unsigned private_kib(pid_t pid)
{
	_cleanup_free_ char *text = NULL;
	char path[64];
	unsigned kib = 0;

	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	if (file_read(path, 65536, &text, NULL, NULL) < 0)
		return 0;
	char *at = strstr(text, "\nRssAnon:");
	if (at)
		sscanf(at, "\nRssAnon: %u", &kib);
	return kib;
}

void flat_note(pid_t program, pid_t vgpu)
{
	unsigned now[FIGURES] = { descriptors(program), descriptors(vgpu), descriptors(getpid()),
		private_kib(program), private_kib(vgpu) };

	for (int i = 0; i < FIGURES; i++)
		if (!now[i])
			return;
	if (n_seen < SWITCHES_MAX)
		memcpy(seen[n_seen++], now, sizeof now);
}

void flat_say(int moves, int of)
{
	static int64_t next;
	int64_t now = clock_now_ns();
	const unsigned *last = n_seen ? seen[n_seen - 1] : seen[0];

	if (now < next)
		return;
	next = now + SAY_S * NSEC_PER_SEC;
	fprintf(stderr, "%d of %d switches", moves, of);
	for (int i = 0; i < FIGURES; i++)
		fprintf(stderr, ", %s %u", names[i], last[i]);
	fputs("\n", stderr);
}

// The middle value of a quarter's: single switches catch a program in the middle of something. Two quarters
// lie half of the switches apart, at least four: what each leaves behind is more than the slack by then.
static int compare(const void *a, const void *b)
{
	unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

	return x < y ? -1 : x > y;
}

static unsigned middle(int figure, unsigned quarter)
{
	unsigned values[SWITCHES_MAX / 4 + 1] = { 0 }, n = 0;

	for (unsigned i = n_seen * quarter / 4; i < n_seen * (quarter + 1) / 4; i++)
		values[n++] = seen[i][figure];
	qsort(values, n, sizeof values[0], compare);
	return values[n / 2];
}

bool flat_check(void)
{
	bool flat = n_seen >= SWITCHES_MIN;

	if (!flat) {
		fprintf(stderr, "%u switches are too few to tell\n", n_seen);
		return false;
	}
	for (int i = 0; i < FIGURES; i++) {
		unsigned before = middle(i, 1), after = middle(i, 3);
		bool grew =
			i < judged && after > before + (i >= PROGRAM_KIB ? SLACK_KIB : SLACK_FDS);
		fprintf(stderr, "%s: %u, then %u%s\n", names[i], before, after,
			grew ? ": it grows" : "");
		flat = flat && !grew;
	}
	return flat;
}
