// SPDX-License-Identifier: Apache-2.0
#include "base/loop.h"
#include "base/clock.h"
#include "base/test.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static struct loop *loop;
static int calls;

static void count(void *arg)
{
	calls++;
	loop_stop(loop);
}

static void on_exit_status(void *arg, pid_t pid, int status)
{
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	loop_stop(loop);
}

static void on_signal(void *arg, int signo)
{
	CHECK_EQ(signo, SIGUSR1);
	loop_stop(loop);
}

static void timers_fire_once_and_not_early(void)
{
	int64_t at = clock_now_ns() + 20 * NSEC_PER_MSEC;
	struct watch *w = loop_timer(loop, at, count, NULL);

	calls = 0;
	loop_run(loop);
	CHECK(clock_now_ns() >= at);
	loop_once(loop, 5);
	CHECK_EQ(calls, 1);
	watch_remove(w);
}

static void a_childs_status_arrives(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(7);
	struct watch *w = loop_process(loop, pid, on_exit_status, NULL);
	CHECK(w);
	loop_run(loop);
	watch_remove(w);
}

static void *wake(void *w)
{
	loop_wake(w);
	return NULL;
}

static void another_thread_can_wake_it(void)
{
	pthread_t thread;
	struct watch *w = loop_waker(loop, count, NULL);

	calls = 0;
	pthread_create(&thread, NULL, wake, w);
	loop_run(loop);
	pthread_join(thread, NULL);
	CHECK_EQ(calls, 1);
	watch_remove(w);
}

static void signals_arrive_on_the_loop(void)
{
	struct watch *w = loop_signal(loop, SIGUSR1, on_signal, NULL);

	raise(SIGUSR1);
	loop_run(loop);
	watch_remove(w);
}

static struct watch *pair[2];

static void remove_both(void *arg, int fd, uint32_t events)
{
	calls++;
	pair[0] = watch_remove(pair[0]);
	pair[1] = watch_remove(pair[1]);
}

static void a_watch_removed_in_the_batch_is_not_called(void)
{
	int fds[2];

	CHECK(pipe(fds) == 0 && write(fds[1], "x", 1) == 1);
	int other = dup(fds[0]);
	pair[0] = loop_fd(loop, fds[0], EPOLLIN, remove_both, NULL);
	pair[1] = loop_fd(loop, other, EPOLLIN, remove_both, NULL);
	calls = 0;
	loop_once(loop, 100);
	CHECK_EQ(calls, 1);
	close(fds[0]), close(fds[1]), close(other);
}

int main(void)
{
	loop = loop_new();
	RUN(timers_fire_once_and_not_early);
	RUN(a_childs_status_arrives);
	RUN(another_thread_can_wake_it);
	RUN(signals_arrive_on_the_loop);
	RUN(a_watch_removed_in_the_batch_is_not_called);
	loop_free(loop);
}
