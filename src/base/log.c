// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *component_name = "ferry";
static enum log_level lowest = LOG_LEVEL_INFO;
static const char *const level_names[] = { "debug", "info", "warn", "error" };

void log_init(const char *component)
{
	const char *wanted = getenv("FERRY_LOG");

	component_name = component;
	for (int i = 0; wanted && i <= LOG_LEVEL_ERROR; i++)
		if (!strcmp(wanted, level_names[i]))
			lowest = i;
}

bool log_enabled(enum log_level level)
{
	return level >= lowest;
}

static size_t put_time(char *line, size_t size)
{
	struct timespec now;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	size_t n = strftime(line, size, "%Y-%m-%dT%H:%M:%S", &tm);
	return n + (size_t)snprintf(line + n, size - n, ".%03ldZ ", now.tv_nsec / 1000000);
}

static void write_line(int fd, char *line, size_t size, size_t used, const char *fmt, va_list ap)
{
	int n = vsnprintf(line + used, size - used - 1, fmt, ap);

	if (n < 0)
		return;
	used += (size_t)n < size - used - 1 ? (size_t)n : size - used - 2;
	line[used++] = '\n';
	if (write(fd, line, used) < 0)
		return; // nowhere left to say so
}

void log_write(enum log_level level, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	if (!log_enabled(level))
		return;
	size_t n = put_time(line, sizeof line);
	n += (size_t)snprintf(line + n, sizeof line - n, "%-5s %s[%d]: ", level_names[level],
		component_name, (int)getpid());
	va_start(ap, fmt);
	write_line(STDERR_FILENO, line, sizeof line, n, fmt, ap);
	va_end(ap);
}

void log_line_to(int fd, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	if (fd < 0)
		return;
	size_t n = put_time(line, sizeof line);
	va_start(ap, fmt);
	write_line(fd, line, sizeof line, n, fmt, ap);
	va_end(ap);
}
