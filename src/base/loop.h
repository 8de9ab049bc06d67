// SPDX-License-Identifier: Apache-2.0
// A small epoll(7) loop: descriptors, timers, children (pidfd_open(2)) and signals (signalfd(2)).
// One thread owns a loop; only loop_wake() may be called from others. A watch may remove itself or
// any other watch from inside a callback: it is freed after the batch and not called again.
#pragma once

#include <stdint.h>
#include <sys/epoll.h>
#include <sys/types.h>

struct loop;
struct watch; // owned by the loop, valid until watch_remove()

typedef void (*loop_fd_fn)(void *arg, int fd, uint32_t events);
typedef void (*loop_fn)(void *arg);
// `status` as waitpid(2) gives it, or -1 where the process was no child of ours.
typedef void (*loop_exit_fn)(void *arg, pid_t pid, int status);
typedef void (*loop_signal_fn)(void *arg, int signo);

struct loop *loop_new(void);
struct loop *loop_free(struct loop *l); // removes all watches; NULL-safe; returns NULL

// Watches a descriptor that the caller keeps owning. `events` are EPOLLIN, EPOLLOUT, ...
struct watch *loop_fd(struct loop *l, int fd, uint32_t events, loop_fd_fn fn, void *arg);
int watch_set_events(struct watch *w, uint32_t events);

// Calls fn once at or after the CLOCK_MONOTONIC time `at_ns`. A fired timer stays, unarmed, until
// removed; watch_set_timer() arms it again (-1 disarms it).
struct watch *loop_timer(struct loop *l, int64_t at_ns, loop_fn fn, void *arg);
void watch_set_timer(struct watch *w, int64_t at_ns);

// Calls fn when the process ends, child or not (a child is reaped). NULL and errno ESRCH when there
// is no such process.
struct watch *loop_process(struct loop *l, pid_t pid, loop_exit_fn fn, void *arg);
// Blocks the signal for the calling thread and delivers it here.
struct watch *loop_signal(struct loop *l, int signo, loop_signal_fn fn, void *arg);
// Calls fn on the loop's thread soon after loop_wake(); several wakes may be one call.
struct watch *loop_waker(struct loop *l, loop_fn fn, void *arg);
void loop_wake(struct watch *w); // any thread, and signal handlers

struct watch *watch_remove(struct watch *w); // NULL-safe; returns NULL

int loop_run(struct loop *l); // until loop_stop(); 0 or -errno
// One wait of at most timeout_ms (-1: until something happens). 0 or -errno.
int loop_once(struct loop *l, int timeout_ms);
void loop_stop(struct loop *l);
