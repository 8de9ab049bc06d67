// SPDX-License-Identifier: Apache-2.0
// A guest boots, runs a program for the host, and moves between two QEMUs through two relays while
// the program runs; its output must be complete and come once.
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/socket.h"
#include "base/test.h"
#include "carrier.h"
#include "machine.h"
#include "vm/agent_exec.h"
#include "vm/facts.h"
#include "vm/overlay.h"

#include <signal.h>
#include <sys/socket.h>

#define LINES 200

static struct loop *loop;
static char dir[64], dir_a[80], dir_b[80], initrd[96], disk[96], kernel[512];
static struct vm_facts facts;
static struct vm_accel_probe probe;

// The two hosts of a test.
struct pair {
	struct machine a, b;
	struct carrier out, in; // their relays
	struct agent *agent;    // the way to the guest, wherever it runs
};

static struct vm_config config(const char *where)
{
	return (struct vm_config){ .name = "test",
		.machine = facts.default_machine,
		.accel = probe.accel,
		.vcpus = 1,
		.memory_bytes = 256u << 20,
		.dir = where,
		.kernel = kernel,
		.initrd = initrd,
		.disk = disk,
		.gpus = 1,
		.ports = VM_PORTS_PER_GPU };
}

static void make_disk(void)
{
	char command[256];

	snprintf(disk, sizeof disk, "%s/a,disk.img", dir); // QEMU's options are split at commas
	snprintf(command, sizeof command,
		"PATH=$PATH:/sbin:/usr/sbin mke2fs -q -t ext4 '%s' 16M >/dev/null", disk);
	CHECK_EQ(system(command), 0);
}

// What the guest's program printed and how it ended.
struct output {
	char text[65536];
	size_t n;
	bool done;
	int status;
};

static void on_output(void *arg, int stream, const void *bytes, size_t n)
{
	struct output *o = arg;

	CHECK(o->n + n < sizeof o->text);
	memcpy(o->text + o->n, bytes, n);
	o->n += n;
}

static void on_done(void *arg, int status, const struct ferry_error *e)
{
	struct output *o = arg;

	CHECK_STR(e ? e->message : "", "");
	o->done = true;
	o->status = status;
}

static void start(struct agent *a, struct output *o, const char *script)
{
	static const struct agent_exec_handlers handlers = { on_output, on_done };
	_cleanup_json_ json_t *argv = json_pack("[s, s, s]", "sh", "-c", script);
	struct agent_exec_spec spec = { .argv = argv };

	memset(o, 0, sizeof *o);
	CHECK(agent_exec_start(agent_way(a), &spec, &handlers, o, NULL));
}

static void run(struct agent *a, struct output *o, const char *script)
{
	start(a, o, script);
	while (!o->done)
		machine_turn(loop);
}

// What the guest writes into one of its vGPU's ports arrives at our end, and nowhere else.
static void port_works(struct machine *m, struct agent *a)
{
	struct output o;
	char got[16] = "", ports[16];

	snprintf(ports, sizeof ports, "%d\n", VM_PORTS_PER_GPU + 1); // and the agent's
	run(a, &o, "echo hello >/dev/virtio-ports/ferry.gpu0.3 && ls /dev/virtio-ports | wc -l");
	CHECK_STR(o.text, ports);
	CHECK_EQ(recv(m->ports[3], got, sizeof got - 1, MSG_DONTWAIT), 6);
	CHECK_STR(got, "hello\n");
	CHECK(recv(m->ports[4], got, sizeof got, MSG_DONTWAIT) < 0);
}

static void set_agent_path(struct agent *a, const char *where)
{
	char path[128];

	snprintf(path, sizeof path, "%s/agent.sock", where);
	CHECK_EQ(agent_set_path(a, path), 0);
}

static void boot(struct machine *m, struct agent *agent)
{
	struct vm_config c = config(dir_a);
	struct output o;
	int64_t began = clock_now_ns();

	machine_start(m, loop, &c);
	CHECK_STR(machine_status(m), "prelaunch");
	machine_reconnect(m);
	machine_do(m, "cont", NULL);
	set_agent_path(agent, dir_a);
	run(agent, &o, "echo in the guest; echo oops >&2; exit 7");
	printf("booted, and a first program ran, after %.2f s under %s\n",
		(double)(clock_now_ns() - began) / NSEC_PER_SEC, vm_accel_name(probe.accel));
	CHECK_EQ(o.status, 7);
	CHECK(!strcmp(o.text, "in the guest\noops\n") || !strcmp(o.text, "oops\nin the guest\n"));
	run(agent, &o, "ls /etc/OpenCL/vendors /dev/virtio-ports; which clinfo");
	CHECK(strstr(o.text, "ferry.icd") && strstr(o.text, "ferry.agent") &&
		strstr(o.text, "clinfo"));
	run(agent, &o, "grep -q ' /mnt ext4 ' /proc/mounts && echo kept >/mnt/file && sync");
	CHECK_EQ(o.status, 0);
	port_works(m, agent);
}

// After the move: the disk, which only one QEMU may write, and a port of the new one.
static void guest_is_whole(struct machine *m, struct agent *agent)
{
	struct output o;

	run(agent, &o, "cat /mnt/file && echo more >>/mnt/file && sync");
	CHECK_STR(o.text, "kept\n");
	CHECK_EQ(o.status, 0);
	port_works(m, agent);
}

static void enable(json_t *all, const char *capability)
{
	json_array_append_new(all, json_pack("{s:s, s:b}", "capability", capability, "state", 1));
}

static void set_capabilities(struct machine *m, bool destination, unsigned channels)
{
	json_t *all = json_array();

	enable(all, "events");
	enable(all, "return-path");
	enable(all, "pause-before-switchover");
	if (destination)
		enable(all, "late-block-activate");
	if (channels)
		enable(all, "multifd");
	machine_do(m, "migrate-set-capabilities", json_pack("{s:o}", "capabilities", all));
	if (channels)
		machine_do(m, "migrate-set-parameters",
			json_pack("{s:i}", "multifd-channels", (int)channels));
}

static json_t *stream_of(const char *where)
{
	char uri[128];

	snprintf(uri, sizeof uri, "unix:%s/ram.sock", where);
	return json_pack("{s:s}", "uri", uri);
}

static void connect_relays(struct pair *p)
{
	char address[32];
	_cleanup_fd_ int server = tcp_listen("127.0.0.1:0", NULL);

	snprintf(address, sizeof address, "127.0.0.1:%d", tcp_local_port(server));
	_cleanup_fd_ int a = tcp_connect(address, 1000, NULL);
	_cleanup_fd_ int b = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	CHECK(a >= 0 && b >= 0);
	carrier_do(&p->out, "attach", a);
	carrier_do(&p->in, "attach", b);
}

static void turn_for(int ms)
{
	int64_t end = clock_now_ns() + ms * NSEC_PER_MSEC;

	while (clock_now_ns() < end)
		machine_turn(loop);
}

// Starts the migration; its stream is held although the guest is idle. `channels`: QEMU's multifd
// channels besides its first connection, each relayed by itself.
static void start_held(struct pair *p, unsigned channels)
{
	struct machine *a = &p->a, *b = &p->b;

	set_capabilities(a, false, channels);
	set_capabilities(b, true, channels);
	// QEMU's own limit is 128 MiB/s; the relay has the link's.
	machine_do(a, "migrate-set-parameters", json_pack("{s:i}", "max-bandwidth", 0));
	machine_do(b, "migrate-incoming", stream_of(dir_b));
	for (unsigned i = 0; i <= channels; i++)
		connect_relays(p);
	machine_do(a, "migrate", stream_of(dir_a));
	machine_await(a, "active", 30000);
	turn_for(1000);
	CHECK_STR(machine_status(a), "running");
	CHECK_STR(a->migration, "active");
	CHECK_EQ(json_int_or(carrier_do(&p->out, "status", -1), "bytes_out", -1), 0);
}

// Up to the stun.
static void precopy(struct pair *p, unsigned channels)
{
	start_held(p, channels);
	int64_t began = clock_now_ns();
	carrier_do(&p->out, "release", -1);
	machine_await(&p->a, "pre-switchover", 60000);
	printf("released to pre-switchover: %lld ms\n",
		(long long)((clock_now_ns() - began) / NSEC_PER_MSEC));
}

static void switch_over(struct pair *p)
{
	struct machine *a = &p->a, *b = &p->b;

	CHECK(a->stop_ns > 0);
	CHECK_STR(machine_status(b), "inmigrate");
	int64_t began = clock_now_ns();
	machine_do(a, "migrate-continue", json_pack("{s:s}", "state", "pre-switchover"));
	machine_await(a, "completed", 30000);
	machine_await(b, "completed", 30000);
	printf("continue to completed on both: %lld ms\n",
		(long long)((clock_now_ns() - began) / NSEC_PER_MSEC));
	CHECK_STR(machine_status(a), "postmigrate");
	CHECK_STR(machine_status(b), "paused");
	machine_do(b, "cont", NULL);
	CHECK_STR(machine_status(b), "running");
	set_agent_path(p->agent, dir_b);
}

static void await_relays_end(struct pair *p)
{
	while (!p->out.closed || !p->in.closed)
		machine_turn(loop);
	CHECK_EQ(carrier_wait(&p->out), 0);
	CHECK_EQ(carrier_wait(&p->in), 0);
}

static void relays_end_in_good_order(struct pair *p)
{
	await_relays_end(p);
	const json_t *out = p->out.closed, *in = p->in.closed;
	CHECK(!json_object_get(out, "error"));
	CHECK(!json_object_get(in, "error"));
	printf("relayed %lld KiB\n", (long long)json_int_or(out, "bytes_out", 0) >> 10);
	CHECK(json_int_or(out, "bytes_out", 0) > 1 << 20);
	CHECK_EQ(json_int_or(in, "bytes_in", 0), json_int_or(out, "bytes_out", 0));
}

// A guest that has booted on one host, the other one waiting for it, and the relays between them.
static void set_up(struct pair *p)
{
	struct vm_config c = config(dir_b);

	*p = (struct pair){ .agent = agent_new(loop) };
	boot(&p->a, p->agent);
	c.incoming = true;
	machine_start(&p->b, loop, &c);
	carrier_start(&p->out, loop, "source", dir_a);
	carrier_start(&p->in, loop, "destination", dir_b);
}

// The relays have ended. A destination that was killed has nothing left to stop.
static void tear_down(struct pair *p, bool destination_lives)
{
	json_decref(p->out.closed), json_decref(p->in.closed);
	agent_free(p->agent);
	machine_stop(&p->a);
	if (destination_lives)
		machine_stop(&p->b);
}

static void output_is_complete(const struct output *o)
{
	char expected[65536];
	size_t n = 0;

	for (int i = 0; i < LINES; i++)
		n += (size_t)snprintf(expected + n, sizeof expected - n, "line %d\n", i);
	CHECK_EQ(o->n, n);
	CHECK(!memcmp(o->text, expected, n));
	CHECK_EQ(o->status, 5);
}

static void a_program_runs_across_a_migration(void)
{
	struct pair p;
	struct output *o = calloc(1, sizeof *o);

	set_up(&p);
	start(p.agent, o,
		"i=0; while [ $i -lt 200 ]; do echo line $i; i=$((i+1)); usleep 20000; done; exit "
		"5");
	while (!o->n)
		machine_turn(loop);
	precopy(&p, 0);
	size_t before = o->n;
	switch_over(&p);
	CHECK(!o->done);
	while (!o->done)
		machine_turn(loop);
	CHECK(o->n > before);
	output_is_complete(o);
	guest_is_whole(&p.b, p.agent);
	printf("stun, STOP to RESUME: %.1f ms\n",
		(double)(p.b.resume_ns - p.a.stop_ns) / NSEC_PER_MSEC);
	relays_end_in_good_order(&p);
	tear_down(&p, true);
	free(o);
}

static void several_connections_carry_the_ram(void)
{
	struct pair p;

	set_up(&p);
	precopy(&p, 2);
	CHECK_EQ(json_int_or(carrier_do(&p.out, "status", -1), "connections", 0), 3);
	switch_over(&p);
	guest_is_whole(&p.b, p.agent);
	relays_end_in_good_order(&p);
	tear_down(&p, true);
}

// The relay passes the death on; QEMU resumes by itself, and the guest never notices.
static void a_destination_that_dies_in_the_stun_leaves_the_guest_on_the_source(void)
{
	struct pair p;
	struct output o;

	set_up(&p);
	precopy(&p, 0);
	machine_kill(&p.b);
	machine_ask(&p.a, "migrate-continue", json_pack("{s:s}", "state", "pre-switchover"));
	while (strcmp(p.a.migration, "failed"))
		machine_turn(loop);
	while (p.a.resume_ns <= p.a.stop_ns) // QEMU says "failed" a moment before it resumes
		machine_turn(loop);
	CHECK_STR(machine_status(&p.a), "running");
	await_relays_end(&p);
	run(p.agent, &o, "cat /mnt/file");
	CHECK_STR(o.text, "kept\n");
	tear_down(&p, false);
}

// QEMU's main loop may be stuck behind a peer that takes nothing; yank is answered all the same.
static void a_hung_destination_is_left_out_of_band(void)
{
	struct pair p;

	set_up(&p);
	start_held(&p, 0);
	kill(p.b.pid, SIGSTOP);
	carrier_do(&p.out, "release", -1);
	turn_for(500);
	CHECK_STR(p.a.migration, "active");
	machine_do_oob(&p.a, "yank", json_pack("{s:[{s:s}]}", "instances", "type", "migration"));
	while (strcmp(p.a.migration, "failed"))
		machine_turn(loop);
	CHECK_STR(machine_status(&p.a), "running");
	machine_kill(&p.b);
	await_relays_end(&p);
	tear_down(&p, false);
}

int main(void)
{
	const char *image = getenv("FERRY_IMAGE");
	struct ferry_error e = FERRY_ERROR_INIT;

	snprintf(kernel, sizeof kernel, "%s/kernel", image ? image : ".");
	if (access(kernel, R_OK))
		SKIP("the guest's image is not built (make image)");
	signal(SIGPIPE, SIG_IGN);
	snprintf(dir, sizeof dir, "/tmp/ferry-vm-%d", (int)getpid());
	snprintf(dir_a, sizeof dir_a, "%s/a", dir);
	snprintf(dir_b, sizeof dir_b, "%s/b", dir);
	snprintf(initrd, sizeof initrd, "%s/initrd", dir);
	machines_guard(dir, 120);
	CHECK(dir_make(dir_a, NULL) == 0 && dir_make(dir_b, NULL) == 0);
	make_disk();
	vm_accel_probe(&probe);
	CHECK_EQ(vm_facts_read(&facts, probe.accel, &e), 0);
	CHECK_EQ(vm_initrd_write(initrd, image, NULL, &e), 0);
	loop = loop_new();
	RUN(a_program_runs_across_a_migration);
	RUN(several_connections_carry_the_ram);
	RUN(a_destination_that_dies_in_the_stun_leaves_the_guest_on_the_source);
	RUN(a_hung_destination_is_left_out_of_band);
	loop_free(loop);
}
