// SPDX-License-Identifier: Apache-2.0
// ferry-vgpu: one vGPU's process. It listens; whoever starts it may come and go.
#include "vgpu/backend/cl_binary.h"
#include "vgpu/control/confine.h"
#include "vgpu/control/control.h"
#include "vgpu/control/describe.h"
#include "vgpu/control/options.h"
#include "vgpu/session/port.h"
#include "vgpu/session/serve.h"
#include "vgpu/tokens/tokens.h"
#include "vgpu/vgpu.h"

#include "base/log.h"
#include "base/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
	"usage: ferry-vgpu --memory BYTES (--control PATH | --serve PATH) [--profile NAME]\n"
	"         [--index I] [--ports N] [--incoming] [--tracker auto|wp|digest]\n"
	"         [--vm-log PATH] [--device N] [--slices FIRST:COUNT] [--tokens FD]\n"
	"         [--share PERCENT] [--user UID] [--faults] [--share-memory]\n"
	"       ferry-vgpu --describe [--device N]\n"
	"Serves OpenCL to a VM's ports, or to local programs, and moves its memory and objects to\n"
	"another ferry-vgpu when ferryd says so on the control socket.\n";

static void on_signal(void *arg, int signo)
{
	loop_stop(arg);
}

// The inherited descriptors of the VM's ports.
static int take_ports(struct vgpu *v, const struct options *o, struct ferry_error *e)
{
	for (unsigned i = 0; i < o->ports; i++) {
		int fd = OPTIONS_FIRST_FD + 2 * (int)i;
		struct port *port;
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd + 1, F_SETFD, FD_CLOEXEC) < 0)
			return ferry_fail(e, EBADF, "bad-port",
				"port %u: descriptors %d and %d are not open", i, fd, fd + 1);
		int r = port_new(v, i, fd, fd + 1, &port, e);
		if (r < 0)
			return r;
	}
	return 0;
}

// A vGPU that cannot take part runs all the same: fairness is no reason not to serve.
static void join_turns(struct vgpu *v, const struct options *o)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	int fd = (int)o->tokens;

	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		log_error("--tokens %d: no such descriptor", fd);
	else if (tokens_join(v, fd, o->share, &e) < 0)
		log_error("no turns on the device: %s", e.message);
}

// What a user of its own could not open.
struct files {
	int serve;
	struct control_files control;
};

static int open_files(const struct options *o, struct files *ret, struct ferry_error *e)
{
	int r = control_files_open(o, &ret->control, e);

	ret->serve = r == 0 && o->serve ? unix_bind(o->serve, e) : -1;
	return r == 0 && o->serve && ret->serve < 0 ? ret->serve : r;
}

static int serve_until_told(
	struct loop *loop, const struct options *o, struct files *f, struct ferry_error *e)
{
	struct vgpu_config config = { .loop = loop,
		.memory_bytes = o->memory_bytes,
		.device = o->device,
		.slices = o->slices,
		.share_memory = o->share_memory,
		.backend = &backend_cl };
	struct vgpu *v = NULL;
	struct serve *serve = NULL;
	struct control *control = NULL;
	struct output *output = NULL;
	struct ferry_error why = FERRY_ERROR_INIT;
	int r = vgpu_new(&config, &v, e);

	if (r == 0 && o->tokens)
		join_turns(v, o);
	if (r == 0 && !o->user)
		r = open_files(o, f, e); // now: who waits for a socket's file may connect soon
	if (r == 0)
		r = output_new(v, &output, e);
	if (r == 0)
		r = take_ports(v, o, e);
	if (r == 0 && o->serve)
		r = serve_new(v, f->serve, o->serve, &serve, e);
	if (r == 0 && o->control)
		r = control_new(v, o, &f->control, &control, e);
	// Threads exist by now, but no byte of a guest has been looked at.
	if (r == 0 && confine_calls(&why) < 0)
		log_warn("%s", why.message);
	if (r == 0)
		r = loop_run(loop);
	control_free(control);
	serve_free(serve);
	vgpu_free(v);
	output_free(output);
	return r;
}

static int run(struct loop *loop, const struct options *o, struct ferry_error *e)
{
	struct files files = { -1, { -1, -1 } };
	struct ferry_error why = FERRY_ERROR_INIT;
	int r = o->user ? open_files(o, &files, e) : 0;

	if (r == 0 && o->user)
		r = confine_become(o->user, e);
	if (r == 0)
		r = confine_limit(o->user, e);
	if (r == 0 && o->user && confine_files(&why) < 0)
		log_warn("%s", why.message);
	return r == 0 ? serve_until_told(loop, o, &files, e) : r;
}

int main(int argc, char **argv)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	struct options o;

	log_init("ferry-vgpu");
	if (argc == 3 && !strcmp(argv[1], CL_BINARY_OPTION))
		return cl_binary_child((unsigned)atoi(argv[2]));
	if (options_parse(argc, argv, &o, &e) < 0) {
		fprintf(stderr, "ferry-vgpu: %s\n%s", e.message, usage);
		return 2;
	}
	if (o.help) {
		fputs(usage, stdout);
		return 0;
	}
	if (o.describe)
		return describe_print(&o);
	struct loop *loop = loop_new();
	signal(SIGPIPE, SIG_IGN);
	if (!loop || !loop_signal(loop, SIGTERM, on_signal, loop) ||
		!loop_signal(loop, SIGINT, on_signal, loop)) {
		log_error("no event loop");
		return 1;
	}
	int r = run(loop, &o, &e);
	if (r < 0)
		log_error("%s", e.message);
	loop_free(loop);
	return r < 0 ? 1 : 0;
}
