// SPDX-License-Identifier: Apache-2.0
// Starting programs, with chosen descriptors and nothing else open. They outlive their starter unless
// they are tied to it.
#pragma once

#include <stdbool.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"

// One descriptor of ours that the program gets under the number `as` (3 or more).
struct process_fd {
	int fd; // stays the caller's
	int as;
};

struct process_spec {
	const char *const *argv; // argv[0] is looked up in PATH; NULL-terminated
	const char *const *env;  // "NAME=value" added to ours; NULL-terminated; may be NULL
	const char *cwd;         // NULL: ours
	int log_fd;              // standard output and error; -1: /dev/null
	const struct process_fd *fds;
	size_t n_fds;
	const cpu_set_t *processors; // that all its threads run on; NULL: ours
	bool detached; // its own session (setsid(2)): signals to our group do not reach it
	bool tied;     // killed when the thread that starts it ends, in whatever way
	bool init; // of a PID namespace of its own: what it leaves behind ends with it, however it
		   // ends. Root only; the starter has one thread. Its getpid(2) is 1, and a signal
		   // that it sends itself and does not handle does nothing. Not with `tied`.
};

// Standard input is /dev/null. Fails here, with the program's name, when it cannot be executed.
// 0 and *ret_pid, which is our child: watch it with loop_process().
int process_start(const struct process_spec *spec, pid_t *ret_pid, struct ferry_error *e);

// Runs to its end, or to ours: it is tied. *ret_status as waitpid(2). Output goes to spec->log_fd.
int process_run(const struct process_spec *spec, int *ret_status, struct ferry_error *e);

// How a process ended, for people: "signal 11, Segmentation fault", "exit status 1". `status` as
// waitpid(2), or -1 where it is not known.
void process_describe_end(int status, char *ret, size_t size);

// In a child of fork(2): SIGKILL comes when the parent's forking thread ends (PR_SET_PDEATHSIG of
// prctl(2)). `parent`: its getpid(2) before the fork. -ESRCH when it has ended already: then no signal
// will come, and the caller ends itself.
int process_tie(pid_t parent);

// A process's start time in clock ticks after boot (proc(5), field 22), 0 when there is none: with
// it a recorded pid is told from a later process of the same number.
uint64_t process_start_time(pid_t pid);

// kill(2), but only when the process still is the one that started at `start_time`.
int process_kill(pid_t pid, uint64_t start_time, int signo);
