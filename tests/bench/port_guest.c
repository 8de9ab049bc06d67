// SPDX-License-Identifier: Apache-2.0
// What a virtio-serial port gives without Ferry, as its guest sees it; the other end is port_host.c.
// usage: bench-port-guest PORT. A line for each figure, as bench-remoting prints and takes them: calls as the
// mean of a run of them, bytes from and to 64 MiB of memory; medians of the runs.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "port.h"

#define ECHOES 300
#define RUNS   7

static int fd;
static char bytes[256 << 10];
static char *memory; // PORT_BULK

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void need(ssize_t r)
{
	if (r > 0)
		return;
	perror("bench-port-guest");
	exit(1);
}

static void put(const void *from, uint64_t n, size_t at_once)
{
	const char *p = from;

	while (n) {
		ssize_t r = write(fd, p, n < at_once ? n : at_once);

		need(r);
		n -= (uint64_t)r;
		p = from == bytes ? bytes : p + r;
	}
}

static void get(void *to, uint64_t n)
{
	char *p = to;

	while (n) {
		ssize_t r = read(fd, p, n);

		need(r);
		n -= (uint64_t)r;
		p += r;
	}
}

static void ask(enum port_op op, uint64_t n)
{
	struct port_request q = { op, n };

	put(&q, sizeof q, sizeof q);
}

static int by_size(const void *x, const void *y)
{
	double d = *(const double *)x - *(const double *)y;

	return d < 0 ? -1 : d > 0;
}

static double median(double *v, int n)
{
	qsort(v, (size_t)n, sizeof *v, by_size);
	return v[n / 2];
}

static double round_trip(void)
{
	ask(PORT_ECHO, ECHOES);
	double from = now();

	for (int i = 0; i < ECHOES; i++) {
		put(bytes, PORT_FRAME, PORT_FRAME);
		get(bytes, PORT_FRAME);
	}
	return (now() - from) / ECHOES;
}

static double sink(const void *from)
{
	double start = now();

	ask(PORT_SINK, PORT_BULK);
	put(from, PORT_BULK, PORT_WRITE);
	get(bytes, 1);
	return PORT_BULK / (now() - start);
}

static double to_host(void)
{
	return sink(memory);
}

// What processors' caches give at best: no program's data.
static double to_host_again(void)
{
	return sink(bytes);
}

static double from_host(void)
{
	double from = now();

	ask(PORT_SOURCE, PORT_BULK);
	get(memory, PORT_BULK);
	return PORT_BULK / (now() - from);
}

static double middle(double (*fn)(void))
{
	double v[RUNS];

	for (int i = 0; i < RUNS; i++)
		v[i] = fn();
	return median(v, RUNS);
}

int main(int argc, char **argv)
{
	fd = argc == 2 ? open(argv[1], O_RDWR | O_CLOEXEC) : -1;
	need(fd >= 0 ? 1 : -1);
	memory = malloc(PORT_BULK);
	need(memory ? 1 : -1);
	memset(memory, 1, PORT_BULK);
	printf("port, round trip\t%.6g\tus\n", middle(round_trip) * 1e6);
	printf("port, to the host\t%.6g\tB/s\n", middle(to_host));
	printf("port, the same 32 KiB again\t%.6g\tB/s\n", middle(to_host_again));
	printf("port, from the host\t%.6g\tB/s\n", middle(from_host));
	return 0;
}
