// SPDX-License-Identifier: Apache-2.0
// `ferry vm stop`, and processes of the VM that end while it is under way: it always comes to its end.
#include "host/test_vm.h"

#include <signal.h>

static int stops;

static void on_stopped(void *arg, struct vm *stopped, const struct ferry_error *e)
{
	CHECK(stopped == vm && !e);
	stops++;
}

static bool has_stopped(void)
{
	return stops;
}

static bool is_starting(void)
{
	return g->renew.stage == RENEW_STARTING;
}

static bool is_joining(void)
{
	return g->renew.stage == RENEW_JOINING;
}

// Its guest does not power off, and its time is longer than any test waits.
static void begin_and_stop(void)
{
	test_vm_begin();
	stops = 0;
	vm_stop(vm, 600000, NULL, on_stopped, NULL);
	CHECK(vm->stop && !has_stopped());
}

static void end_stopped(void)
{
	CHECK(turn_until(has_stopped, 10000));
	turn_until(never, 50);
	CHECK_EQ(stops, 1);
	CHECK_EQ(vm->state, VM_STOPPED);
	CHECK(!vm->stop && !vm->kill && !vm_has_processes(vm) && is_back());
	test_vm_end();
}

static void kill_qemu(void)
{
	CHECK_EQ(kill(vm->qemu.pid, SIGKILL), 0);
}

static void kill_vgpu(void)
{
	CHECK_EQ(kill(g->process.pid, SIGKILL), 0);
}

static void a_stop_ends_with_qemu(void)
{
	begin_and_stop();
	kill_qemu();
	end_stopped();
	begin_and_stop();
	CHECK(vm_renew(g, "signal 11"));
	kill_qemu();
	end_stopped();
}

static void a_stop_ends_with_what_qemu_refuses(void)
{
	begin_and_stop();
	refused = "chardev-changegpu0p1";
	CHECK(vm_renew(g, "signal 11"));
	end_stopped();
}

static void a_stop_ends_where_the_new_one_ends_before_it_answers(void)
{
	begin_and_stop();
	CHECK(vm_renew(g, "signal 11"));
	CHECK(turn_until(is_starting, 10000));
	kill_vgpu();
	end_stopped();
}

// It is replaced once more, and QEMU ends while that is on.
static void a_stop_ends_where_the_new_one_ends_while_it_joins(void)
{
	for (int qemu_first = 0; qemu_first < 2; qemu_first++) {
		begin_and_stop();
		unanswered = "getfdgpu0p1";
		CHECK(vm_renew(g, "signal 11"));
		CHECK(turn_until(is_joining, 10000));
		if (qemu_first)
			kill_qemu();
		kill_vgpu();
		if (!qemu_first) {
			CHECK(turn_until(is_again, 10000));
			kill_qemu();
		}
		end_stopped();
	}
}

static void a_stop_ends_with_both_processes(void)
{
	begin_and_stop();
	CHECK(vm_renew(g, "signal 11"));
	CHECK(turn_until(is_back, 10000));
	kill_vgpu();
	kill_qemu();
	end_stopped();
}

int main(int argc, char **argv)
{
	test_vm_set_up(argc, argv);
	RUN(a_stop_ends_with_qemu);
	RUN(a_stop_ends_with_what_qemu_refuses);
	RUN(a_stop_ends_where_the_new_one_ends_before_it_answers);
	RUN(a_stop_ends_where_the_new_one_ends_while_it_joins);
	RUN(a_stop_ends_with_both_processes);
	return test_vm_tear_down();
}
