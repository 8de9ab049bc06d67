// SPDX-License-Identifier: Apache-2.0
// A vGPU that ended, against a scripted QEMU.
#include "host/vm_renew.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/test.h"
#include "host/test_vm.h"
#include "vgpu/protocol/protocol.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>

// What the guest reads first on a port: so many bytes.
static size_t first_bytes(int port)
{
	static uint8_t text[2 * PROTO_FRAME_MAX];
	ssize_t n = recv(given[port], text, sizeof text, MSG_DONTWAIT);

	for (ssize_t i = 0; i < n; i++)
		CHECK_EQ(text[i], PROTO_LOST);
	return n > 0 ? (size_t)n : 0;
}

#define LOOKS    "human-monitor-command query-chardev "
#define PORT(id) "getfd" id " chardev-change" id "socket "

static void it_is_replaced_and_programs_are_told(void)
{
	test_vm_begin();
	open_port = 1;
	CHECK(vm_renew(g, "signal 11"));
	CHECK_EQ(vm_renew_refuse(vm, NULL), -ENODEV);
	CHECK(turn_until(is_back, 10000));
	CHECK_STR(asked, LOOKS PORT("gpu0p0") PORT("gpu0p1") PORT("gpu0p2"));
	CHECK(g->process.pid && g->link);
	CHECK_EQ(g->renew.times, 1);
	CHECK_EQ(first_bytes(0), 0);
	CHECK_EQ(first_bytes(1), PROTO_FRAME_MAX);
	CHECK_EQ(first_bytes(2), 0);
	CHECK_EQ(vm->state, VM_RUNNING);
	test_vm_end();
}

static void a_port_that_is_held_back_is_closed_once_more(void)
{
	test_vm_begin();
	held_port = 1;
	CHECK(vm_renew(g, "signal 11"));
	CHECK(turn_until(is_back, 10000));
	CHECK_STR(asked,
		LOOKS PORT("gpu0p0") "chardev-changegpu0p1ringbuf chardev-changegpu0p1null " PORT(
			"gpu0p1") PORT("gpu0p2"));
	test_vm_end();
}

static void a_migration_comes_first(void)
{
	test_vm_begin();
	vm->migration = (struct migration *)&h;
	CHECK(vm_renew(g, "signal 11"));
	CHECK(!turn_until(is_back, 600));
	CHECK_STR(asked, "");
	vm->migration = NULL;
	CHECK(turn_until(is_back, 10000));
	test_vm_end();
}

static void only_a_vm_that_runs_gets_another(void)
{
	static const enum vm_state states[] = { VM_INCOMING, VM_SEALED, VM_COMMITTED, VM_UNKNOWN };

	test_vm_begin();
	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		vm->state = states[i];
		CHECK(!vm_renew(g, "signal 11"));
		vm_renew_look(vm);
		CHECK(is_back());
	}
	vm->state = VM_RUNNING; // a migration ended, and nobody saw to it
	vm_renew_look(vm);
	CHECK(!is_back());
	CHECK(turn_until(is_back, 10000));
	test_vm_end();
}

static void what_qemu_refuses_ends_the_vm(void)
{
	test_vm_begin();
	refused = "chardev-changegpu0p1";
	CHECK(vm_renew(g, "signal 11"));
	CHECK(turn_until(is_stopped, 10000));
	CHECK(is_back() && !vm_has_processes(vm));
	test_vm_end();
}

static void what_cannot_be_started_ends_the_vm(void)
{
	char programs[sizeof h.config.programs];

	test_vm_begin();
	memcpy(programs, h.config.programs, sizeof programs);
	strcpy(h.config.programs, "/nowhere");
	CHECK(vm_renew(g, "signal 11"));
	CHECK(turn_until(is_stopped, 10000));
	memcpy(h.config.programs, programs, sizeof programs);
	test_vm_end();
}

static void one_that_ends_while_it_joins_is_replaced_later(void)
{
	test_vm_begin();
	unanswered = "getfdgpu0p1";
	CHECK(vm_renew(g, "signal 11"));
	CHECK(turn_until(was_unanswered, 10000));
	CHECK_EQ(kill(g->process.pid, SIGKILL), 0);
	CHECK(turn_until(is_again, 10000));
	int64_t since = clock_now_ns();
	const char *late = "{\"return\":{},\"id\":5}\n";
	unanswered = NULL;
	asked[0] = 0;
	CHECK_EQ(send(monitor, late, strlen(late), 0), strlen(late));
	CHECK(turn_until(is_back, 10000));
	CHECK(clock_now_ns() - since > 800 * NSEC_PER_MSEC);
	CHECK_STR(asked, LOOKS PORT("gpu0p0") PORT("gpu0p1") PORT("gpu0p2"));
	test_vm_end();
}

static void a_vm_that_is_ended_meanwhile_gets_none(void)
{
	test_vm_begin();
	unanswered = "getfdgpu0p1";
	CHECK(vm_renew(g, "signal 11"));
	CHECK(turn_until(was_unanswered, 10000));
	vm_kill(vm, NULL, NULL);
	CHECK(is_back());
	turn_until(never, 400);
	CHECK(!vm_has_processes(vm) && !vm->kill);
	test_vm_end();
	test_vm_begin();
	CHECK(vm_renew(g, "signal 11"));
	vm_kill(vm, NULL, NULL);
	turn_until(never, 400);
	CHECK(!vm_has_processes(vm));
	test_vm_end();
}

static void it_waits_longer_each_time(void)
{
	CHECK_EQ(vm_renew_delay_ns(0), 200 * NSEC_PER_MSEC);
	CHECK_EQ(vm_renew_delay_ns(1), NSEC_PER_SEC);
	CHECK_EQ(vm_renew_delay_ns(2), 2 * NSEC_PER_SEC);
	CHECK_EQ(vm_renew_delay_ns(5), 16 * NSEC_PER_SEC);
	CHECK_EQ(vm_renew_delay_ns(6), 30 * NSEC_PER_SEC);
	CHECK_EQ(vm_renew_delay_ns(4000000000u), 30 * NSEC_PER_SEC);
}

int main(int argc, char **argv)
{
	test_vm_set_up(argc, argv);
	RUN(it_waits_longer_each_time);
	RUN(it_is_replaced_and_programs_are_told);
	RUN(a_port_that_is_held_back_is_closed_once_more);
	RUN(a_migration_comes_first);
	RUN(only_a_vm_that_runs_gets_another);
	RUN(what_qemu_refuses_ends_the_vm);
	RUN(what_cannot_be_started_ends_the_vm);
	RUN(one_that_ends_while_it_joins_is_replaced_later);
	RUN(a_vm_that_is_ended_meanwhile_gets_none);
	return test_vm_tear_down();
}
