// SPDX-License-Identifier: Apache-2.0
#include "base/cores.h"
#include "base/test.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

// Processors that this machine hardly has.
#define FIRST (CPU_SETSIZE - 4)

static cpu_set_t four(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (unsigned i = 0; i < 4; i++)
		CPU_SET(FIRST + i, &set);
	return set;
}

static void what_is_held_is_nobody_elses(void)
{
	struct cores a = { 0 }, b = { 0 };
	cpu_set_t of = four();

	CHECK_EQ(cores_hold(&a, FIRST + 3), 0);
	CHECK_EQ(cores_hold(&a, FIRST + 3), -EINVAL);
	CHECK_EQ(cores_hold(&b, FIRST + 3), -EADDRINUSE);
	CHECK_EQ(cores_take(&b, 2, &of), 0);
	CHECK(CPU_COUNT(&b.set) == 2 && CPU_ISSET(FIRST + 1, &b.set) &&
		CPU_ISSET(FIRST + 2, &b.set));
	CHECK_EQ(cores_take(&a, 1, &of), 0);
	CHECK(CPU_ISSET(FIRST, &a.set));
	cores_release(&a);
	cores_release(&b);
}

static void all_or_none(void)
{
	struct cores a = { 0 }, b = { 0 };
	cpu_set_t of = four();

	CHECK_EQ(cores_take(&a, 3, &of), 0);
	CHECK_EQ(cores_take(&b, 2, &of), -EBUSY);
	CHECK(b.n == 0 && CPU_COUNT(&b.set) == 0);
	CHECK_EQ(cores_take(&b, 1, &of), 0);
	cores_release(&a);
	CHECK_EQ(cores_take(&a, 3, &of), 0);
	cores_release(&a);
	cores_release(&b);
}

static void what_a_killed_process_held_is_free(void)
{
	struct cores mine = { 0 };
	int ready[2];
	char byte;

	CHECK_EQ(pipe(ready), 0);
	pid_t pid = fork();
	if (!pid) {
		CHECK_EQ(cores_hold(&mine, FIRST), 0);
		CHECK_EQ(write(ready[1], "", 1), 1);
		pause();
	}
	CHECK_EQ(read(ready[0], &byte, 1), 1);
	CHECK_EQ(cores_hold(&mine, FIRST), -EADDRINUSE);
	kill(pid, SIGKILL);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	CHECK_EQ(cores_hold(&mine, FIRST), 0);
	cores_release(&mine);
}

// Whatever the program that starts this one has been left.
static void a_taskset_narrows_what_is_mine_and_not_what_there_is(void)
{
	cpu_set_t mine, all, one, before;

	CHECK_EQ(cores_allowed(&before, &all), 0);
	unsigned last = CPU_SETSIZE - 1;
	while (!CPU_ISSET(last, &all))
		last--;
	CPU_ZERO(&one);
	CPU_SET(last, &one);
	CHECK_EQ(sched_setaffinity(0, sizeof one, &one), 0);
	CHECK_EQ(cores_allowed(&mine, &before), 0);
	CHECK(CPU_EQUAL(&mine, &one) && CPU_EQUAL(&before, &all));
	CHECK_EQ(sched_getaffinity(0, sizeof mine, &mine), 0);
	CHECK(CPU_EQUAL(&mine, &one));
}

int main(void)
{
	// Where that is allowed, nobody else can have a name of ours.
	if (unshare(CLONE_NEWNET) < 0)
		unshare(CLONE_NEWUSER | CLONE_NEWNET);
	RUN(what_is_held_is_nobody_elses);
	RUN(all_or_none);
	RUN(what_a_killed_process_held_is_free);
	RUN(a_taskset_narrows_what_is_mine_and_not_what_there_is);
	return 0;
}
