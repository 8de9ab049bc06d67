// SPDX-License-Identifier: Apache-2.0
// A vGPU that takes turns, with a rival that the test plays: it is a process that holds its slot, and what
// the test writes of it into the shared memory.
#include "vgpu/testing/fake_backend.h"
#include "vgpu/testing/testclient.h"
#include "vgpu/testing/testvgpu.h"
#include "vgpu/tokens/memory.h"
#include "vgpu/tokens/tokens.h"

#include "base/test.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { QUEUE = 2, BUFFER };
enum { ME, RIVAL };

struct run {
	struct testvgpu t;
	struct tokens_memory *m;
	pid_t rival;
	int fd;
	struct buf out; // as a testclient has it: for SEND
	uint32_t seq;
};

// Holds the rival's slot until it is killed.
static pid_t be_there(int fd)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = RIVAL, .l_len = 1 };
	int told[2];
	char c = 0;

	CHECK_EQ(pipe(told), 0);
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (fcntl(fd, F_SETLK, &l) < 0 || write(told[1], &c, 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(told[1]);
	CHECK_EQ(read(told[0], &c, 1), 1);
	close(told[0]);
	return pid;
}

static void feed(struct run *r)
{
	testvgpu_feed(&r->t, r->out.data, r->out.len);
	buf_reset(&r->out);
}

static void begin(struct run *r)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	*r = (struct run){ .fd = tokens_memory_new(&e) };
	CHECK(r->fd >= 0);
	r->m = tokens_memory_map(r->fd, &e);
	CHECK(r->m);
	r->rival = be_there(r->fd);
	testvgpu_start(&r->t, loop_new(), &backend_fake);
	CHECK_EQ(tokens_join(r->t.v, dup(r->fd), 0, &e), 0);
	atomic_fetch_or(&r->m->claimed, 1u << RIVAL);
	atomic_fetch_or(&r->m->busy, 1u << RIVAL);
	SEND(r, hello, 0, .magic = PROTO_HELLO_MAGIC, .version = PROTO_VERSION);
	SEND(r, context_create, 0, .id = 1);
	SEND(r, queue_create, 0, .id = QUEUE, .context = 1);
	SEND(r, buffer_create, 0, .id = BUFFER, .context = 1, .size = 4096);
	feed(r);
}

static void end(struct run *r)
{
	struct loop *loop = r->t.loop;

	kill(r->rival, SIGKILL);
	CHECK_EQ(waitpid(r->rival, NULL, 0), r->rival);
	testvgpu_stop(&r->t);
	tokens_memory_unmap(r->m);
	close(r->fd);
	buf_free(&r->out);
	loop_free(loop);
}

static void fill(struct run *r)
{
	SEND(r, fill, 0, .queue = QUEUE, .buffer = BUFFER, .size = 4096, .pattern = BYTES("x", 1));
	feed(r);
}

static unsigned holder(const struct run *r)
{
	return (unsigned)(atomic_load(&r->m->holder) & 0xff) - 1;
}

static void give_turn_to(struct run *r, unsigned slot)
{
	atomic_store(&r->m->holder, ((atomic_load(&r->m->holder) >> 8) + 1) << 8 | (slot + 1));
	atomic_fetch_add(&r->m->slots[slot].wake, 1);
	syscall(SYS_futex, &r->m->slots[slot].wake, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

// A command that waits for the rival's turn to end: again where this machine was so slow that the vGPU no
// longer did.
static void fill_and_wait(struct run *r)
{
	for (;;) {
		give_turn_to(r, RIVAL);
		fake_hold(r->t.v->be);
		fill(r);
		if (!r->t.v->in_flight)
			break;
		fake_release(r->t.v->be);
		testvgpu_settle(&r->t);
	}
	CHECK(atomic_load(&r->m->waiting) & 1u << ME);
}

// Longer than a turn's holder is waited for.
static void think(void)
{
	usleep(5 * TURNS_GRACE_NS / 1000);
}

// ---- tests

// What was passed to a vGPU is used for what it waited with, also where its guest is slow to come back.
static void who_thinks_long_uses_the_turn_that_it_gets(void)
{
	struct run r;

	begin(&r);
	for (int i = 0; i < 4; i++) {
		fill(&r);
		CHECK_EQ(r.t.v->in_flight, 0);
		think();
	}
	CHECK_EQ(holder(&r), ME);
	fill_and_wait(&r);
	atomic_fetch_or(&r.m->waiting, 1u << RIVAL);
	atomic_fetch_and(&r.m->busy, ~(1ull << RIVAL));
	give_turn_to(&r, ME);
	while (!r.t.v->in_flight && holder(&r) == ME)
		testvgpu_settle(&r.t);
	CHECK_EQ(r.t.v->in_flight, 1);
	CHECK_EQ(holder(&r), ME);
	fake_release(r.t.v->be);
	while (holder(&r) == ME)
		testvgpu_settle(&r.t);
	CHECK_EQ(r.t.v->in_flight, 0);
	end(&r);
}

// A rival that is there, waits, and never takes its turn up, as a stopped process: who has used more than it
// gets a command through after each lease.
static void a_rival_that_does_nothing_stops_nobody(void)
{
	struct run r;

	begin(&r);
	atomic_fetch_or(&r.m->waiting, 1u << RIVAL);
	atomic_fetch_and(&r.m->busy, ~(1ull << RIVAL));
	fake_hold(r.t.v->be);
	fill(&r);
	CHECK_EQ(r.t.v->in_flight, 1);
	usleep(2 * TURNS_SLICE_NS / 1000);
	fake_release(r.t.v->be);
	while (holder(&r) != RIVAL)
		testvgpu_settle(&r.t);
	for (int i = 0; i < 3; i++) {
		fill(&r);
		while (r.t.v->n_commands)
			testvgpu_settle(&r.t);
	}
	end(&r);
}

int main(void)
{
	RUN(who_thinks_long_uses_the_turn_that_it_gets);
	RUN(a_rival_that_does_nothing_stops_nobody);
}
