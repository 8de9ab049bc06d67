// SPDX-License-Identifier: Apache-2.0
#include "host/fault.h"
#include "base/test.h"
#include "host/host.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static int calls, failures;

static void on_step(void *arg, const struct ferry_error *e)
{
	calls++;
	if (e) {
		CHECK_STR(e->code, "fault");
		failures++;
	}
}

static void begin(struct host *h)
{
	*h = (struct host){ .config = { .faults = true } };
	h->faults = faults_new(h);
	calls = failures = 0;
}

static void test_nothing_set_goes_on(void)
{
	struct host h;

	begin(&h);
	fault_reached(&h, "source.round", on_step, NULL);
	CHECK_EQ(calls, 1);
	CHECK_EQ(failures, 0);
	h.faults = faults_free(h.faults);
}

static void test_hold_waits_for_clear(void)
{
	struct host h;
	int one, two;

	begin(&h);
	CHECK_EQ(faults_set(h.faults, "source.round:hold", NULL), 0);
	fault_reached(&h, "source.round", on_step, &one);
	fault_reached(&h, "source.round", on_step, &two);
	fault_reached(&h, "source.stopped", on_step, &one); // another point
	CHECK_EQ(calls, 1);
	json_t *list = faults_list(h.faults);
	CHECK_EQ(json_array_size(list), 1);
	CHECK(json_bool_or(json_array_get(list, 0), "held", false));
	json_decref(list);
	fault_forget(&h, &one);
	CHECK_EQ(faults_clear(h.faults, "source.round", NULL), 0);
	CHECK_EQ(calls, 2);
	CHECK_EQ(failures, 0);
	fault_reached(&h, "source.round", on_step, &one);
	CHECK_EQ(calls, 3);
	h.faults = faults_free(h.faults);
}

static void test_fail_and_once(void)
{
	struct host h;

	begin(&h);
	CHECK_EQ(faults_set(h.faults, "dest.sealed:once-fail", NULL), 0);
	fault_reached(&h, "dest.sealed", on_step, NULL);
	fault_reached(&h, "dest.sealed", on_step, NULL);
	CHECK_EQ(failures, 1);
	CHECK_EQ(faults_set(h.faults, "dest.sealed:fail", NULL), 0);
	fault_reached(&h, "dest.sealed", on_step, NULL);
	fault_reached(&h, "dest.sealed", on_step, NULL);
	CHECK_EQ(failures, 3);
	CHECK_EQ(faults_clear(h.faults, NULL, NULL), 0);
	fault_reached(&h, "dest.sealed", on_step, NULL);
	CHECK_EQ(failures, 3);
	h.faults = faults_free(h.faults);
}

static void test_kill(void)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		struct host h;
		begin(&h);
		faults_set(h.faults, "source.committed:kill", NULL);
		fault_reached(&h, "source.committed", on_step, NULL);
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void test_only_known_ones_and_only_when_allowed(void)
{
	static const char *const bad[] = { "", "nowhere:hold", "source.round:explode",
		"source.round:", "source.round:once-", ":hold",
		"a.name.that.is.much.longer.than.any.fault.point:hold", NULL };
	struct ferry_error e = FERRY_ERROR_INIT;
	struct host h;

	begin(&h);
	for (const char *const *b = bad; *b; b++)
		CHECK(faults_set(h.faults, *b, NULL) < 0);
	CHECK(faults_clear(h.faults, "nowhere", NULL) < 0);
	CHECK_EQ(faults_set(h.faults, "source.round", NULL), 0); // hold is the default
	h.config.faults = false;
	CHECK(faults_set(h.faults, "source.round:hold", &e) < 0);
	CHECK_STR(e.code, "faults-off");
	h.faults = faults_free(h.faults);
}

static void count(void *arg, const char *name, const char *action)
{
	CHECK_STR(name, "vgpu.final");
	CHECK_STR(action, "kill");
	++*(int *)arg;
}

static void test_vgpus_get_theirs(void)
{
	struct host h;
	int n = 0;

	begin(&h);
	faults_set(h.faults, "vgpu.final:kill", NULL);
	faults_set(h.faults, "source.round:kill", NULL);
	faults_for_vgpu(h.faults, count, &n);
	CHECK_EQ(n, 1);
	faults_vgpu_held(h.faults, "vgpu.final");
	faults_vgpu_held(h.faults, "no such point");
	json_t *list = faults_list(h.faults);
	CHECK_EQ(json_array_size(list), 2);
	json_decref(list);
	h.faults = faults_free(h.faults);
}

int main(void)
{
	RUN(test_nothing_set_goes_on);
	RUN(test_hold_waits_for_clear);
	RUN(test_fail_and_once);
	RUN(test_kill);
	RUN(test_only_known_ones_and_only_when_allowed);
	RUN(test_vgpus_get_theirs);
	return 0;
}
