// SPDX-License-Identifier: Apache-2.0
// Boots a VM of ours whose vGPU port 0 ends here, without any vGPU, and runs port_guest.c in it.
// usage: bench-port-host FOLDER OVERLAY    FOLDER: for its files, made and removed; OVERLAY: holds the guest's program
// FERRY_IMAGE names the guest's image. Prints what the guest's program printed.
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../vm/machine.h"
#include "base/test.h"
#include "port.h"
#include "vm/agent_exec.h"
#include "vm/facts.h"
#include "vm/overlay.h"

#define LIMIT_S 120

static char bytes[256 << 10];

// The last of what was read is in `bytes`.
static bool get(int fd, uint64_t n)
{
	while (n) {
		ssize_t r = read(fd, bytes, n < sizeof bytes ? n : sizeof bytes);

		if (r <= 0)
			return false;
		n -= (uint64_t)r;
	}
	return true;
}

static bool put(int fd, uint64_t n)
{
	while (n) {
		ssize_t r = write(fd, bytes, n < sizeof bytes ? n : sizeof bytes);

		if (r <= 0)
			return false;
		n -= (uint64_t)r;
	}
	return true;
}

static bool serve(int fd, const struct port_request *q)
{
	bool good = true;

	switch (q->op) {
	case PORT_ECHO:
		for (uint64_t i = 0; i < q->n && good; i++)
			good = get(fd, PORT_FRAME) && put(fd, PORT_FRAME);
		return good;
	case PORT_SINK:
		return get(fd, q->n) && put(fd, 1);
	case PORT_SOURCE:
		return put(fd, q->n);
	default:
		return false;
	}
}

static void *serve_all(void *arg)
{
	int fd = *(int *)arg;
	struct port_request q;

	// A request is one write of the guest's, and nothing follows before the answer but its own bytes.
	while (read(fd, &q, sizeof q) == sizeof q && serve(fd, &q))
		;
	return NULL;
}

struct ended {
	bool done;
	int status;
};

static void on_output(void *arg, int stream, const void *text, size_t n)
{
	(void)arg;
	fwrite(text, 1, n, stream == 1 ? stdout : stderr);
}

static void on_done(void *arg, int status, const struct ferry_error *e)
{
	struct ended *o = arg;

	*o = (struct ended){ true, e ? -1 : status };
}

static int run_in_guest(struct loop *l, const char *dir)
{
	static const struct agent_exec_handlers handlers = { on_output, on_done };
	json_t *argv = json_pack("[ss]", "bench-port-guest", "/dev/virtio-ports/ferry.gpu0.0");
	struct agent_exec_spec spec = { .argv = argv };
	struct agent *a = agent_new(l);
	struct ended o = { 0 };
	char path[160];

	snprintf(path, sizeof path, "%s/agent.sock", dir);
	CHECK_EQ(agent_set_path(a, path), 0);
	CHECK(agent_exec_start(agent_way(a), &spec, &handlers, &o, NULL));
	while (!o.done)
		machine_turn(l);
	json_decref(argv);
	agent_free(a);
	return o.status;
}

int main(int argc, char **argv)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	const char *image = getenv("FERRY_IMAGE");
	struct loop *l = loop_new();
	char initrd[160], kernel[512];
	struct vm_facts facts;
	struct vm_accel_probe probe;
	struct machine m;
	pthread_t thread;
	int status;

	CHECK(argc == 3 && image && l && mkdir(argv[1], 0700) == 0);
	machines_guard(argv[1], LIMIT_S);
	snprintf(initrd, sizeof initrd, "%s/initrd", argv[1]);
	snprintf(kernel, sizeof kernel, "%s/kernel", image);
	CHECK_EQ(vm_initrd_write(initrd, image, argv[2], &e), 0);
	vm_accel_probe(&probe);
	CHECK_EQ(vm_facts_read(&facts, probe.accel, &e), 0);
	machine_start(&m, l,
		&(struct vm_config){ .name = "port",
			.machine = facts.default_machine,
			.accel = probe.accel,
			.vcpus = 1,
			.memory_bytes = 256u << 20,
			.dir = argv[1],
			.kernel = kernel,
			.initrd = initrd,
			.gpus = 1,
			.ports = VM_PORTS_PER_GPU });
	machine_do(&m, "cont", NULL);
	CHECK_EQ(pthread_create(&thread, NULL, serve_all, &m.ports[0]), 0);
	status = run_in_guest(l, argv[1]);
	machine_kill(&m);
	loop_free(l);
	return status;
}
