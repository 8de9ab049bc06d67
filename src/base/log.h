// SPDX-License-Identifier: Apache-2.0
// Log lines: "2026-01-02T03:04:05.678Z LEVEL component: text", one write each, to standard error
// and, for a VM, to its own log file. A function either logs or returns an error, never both.
#pragma once

#include <stdbool.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

// Call once at start. `component` must outlive the process ("ferryd", "ferry-vgpu"). The level is
// INFO, or what FERRY_LOG says: debug, info, warn, error.
void log_init(const char *component);

void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool log_enabled(enum log_level level);

#define log_debug(...)                                                                             \
	do {                                                                                       \
		if (log_enabled(LOG_LEVEL_DEBUG))                                                  \
			log_write(LOG_LEVEL_DEBUG, __VA_ARGS__);                                   \
	} while (0)
#define log_info(...)  log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)

// Writes one time-stamped line to a descriptor (a VM's log). Ignores a negative descriptor.
void log_line_to(int fd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
