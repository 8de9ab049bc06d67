// SPDX-License-Identifier: Apache-2.0
// Programs that the host asked for, each in a process group of its own, by the host's name for it.
// What a name means survives the host's connection: asking again never starts again.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "base/loop.h"
#include "guest/agent/stream.h"

#define JOBS_MAX     64 // at once; of those that have ended, the oldest make room
#define JOB_ARGS_MAX 256
#define JOB_ENV_MAX  64

struct job {
	char id[17]; // 16 hex digits; "": free place
	pid_t pid;
	struct watch *watch;
	bool exited;
	int status;                  // exit status, or 128 + the signal's number
	uint64_t ended_seq;          // order of ends
	int64_t last_signal_request; // id of the last request that sent a signal; -1: none
	struct stream in, out, err;
	struct jobs *jobs;
};

struct jobs {
	struct loop *loop;
	uint64_t ends;
	struct job all[JOBS_MAX];
};

struct job_spec {
	const char *id;
	const char *const *argv; // NULL-terminated
	const char *const *env;  // "NAME=value" on top of ours, NULL-terminated
	bool input;              // a pipe for `write`; else /dev/null
	bool detach;             // output to the console, nothing kept
};

void jobs_init(struct jobs *j, struct loop *l);
void jobs_free(struct jobs *j); // kills what runs

struct job *jobs_find(struct jobs *j, const char *id); // NULL: none
// Starts a program, unless the id exists already (then 0). -EBUSY when all places run, else what
// starting it failed with (code "exec").
int jobs_start(struct jobs *j, const struct job_spec *spec, struct ferry_error *e);
// Whether the program, or output of it that is not yet buffered, is still to come.
bool job_running(const struct job *job);
// To the whole group.
int job_signal(struct job *job, int signo);
// Kills what runs and forgets the job.
void job_end(struct job *job);
