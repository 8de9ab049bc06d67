// SPDX-License-Identifier: Apache-2.0
#include "host/placement.h"
#include "base/test.h"
#include "host/host.h"
#include "host/precheck/precheck.h"
#include "host/test_folder.h"
#include "host/vm_link.h"

static struct host h = { .config = { .host = "a" } };

static struct vm *running(const char *name, const char *profile)
{
	json_t *request = json_pack("{s:s, s:s}", "name", name, "profile", profile);
	struct vm *vm = vm_new(&h, vm_doc_from_request(request, NULL), NULL);

	json_decref(request);
	CHECK_EQ(placement_assign(vm, NULL), 0);
	vm->state = VM_RUNNING;
	return vm;
}

// The code of what keeps one more vGPU of that profile away; "" for nothing.
static const char *refusal(const char *profile, unsigned vgpus)
{
	static struct ferry_error e;

	e = FERRY_ERROR_INIT;
	placement_check(&h, NULL, profile_find(profile, NULL), vgpus, &e);
	CHECK(!e.err || (e.message[0] && e.remedies[0][0]));
	return e.code;
}

static void test_slices_are_nobody_elses(void)
{
	struct vm *one = running("one", "ferry_cpu-4-4q");
	CHECK_EQ(one->vgpus[0].slice, 0);
	CHECK_STR(refusal("ferry_cpu-4-2q", 1), "");
	CHECK_STR(refusal("ferry_cpu-4-2q", 2), "no-slices");
	struct vm *two = running("two", "ferry_cpu-4-2q");
	CHECK_EQ(two->vgpus[0].slice, 4);
	CHECK_STR(refusal("ferry_cpu-4-2q", 1), "no-slices");
	CHECK_EQ(placement_count(&h, profile_find("ferry_cpu-4-4q", NULL), NULL), 0);
	one->state = VM_STOPPED;
	CHECK_STR(refusal("ferry_cpu-4-2q", 1), "");
	CHECK_EQ(placement_assign(one, NULL), 0); // started again, it does not stand in its own way
	CHECK_EQ(one->vgpus[0].slice, 0);
	vm_free(one);
	vm_free(two);
}

static void test_turns_and_partitions_do_not_mix(void)
{
	struct vm *plain = running("plain", "none");
	CHECK_STR(refusal("ferry_cpu-4-4q", 1), "");
	CHECK_STR(refusal("ferry_cpu-05q", 1), "");
	struct vm *part = running("part", "ferry_cpu-4-4q");
	CHECK_STR(refusal("ferry_cpu-05q", 1), "kind-mixed");
	CHECK_STR(refusal("none", 0), "");
	vm_free(part);
	struct vm *turns = running("turns", "ferry_cpu-05q");
	CHECK_STR(refusal("ferry_cpu-4-4q", 1), "kind-mixed");
	CHECK_STR(refusal("ferry_cpu-1q", 8), "");
	CHECK_EQ(turns->vgpus[0].slice, -1);
	vm_free(turns);
	vm_free(plain);
}

static void test_what_can_be_placed(void)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	h.config.memory_bytes = 3ull << 30;
	CHECK_EQ(placement_count(&h, profile_find("ferry_cpu-05q", NULL), NULL), 3);
	CHECK_EQ(placement_count(&h, profile_find("ferry_cpu-4q", NULL), &e), 0);
	CHECK_STR(e.code, "no-memory");
	e = FERRY_ERROR_INIT;
	CHECK_EQ(placement_count(&h, profile_find("ferry_cpu-passthrough", NULL), &e), 0);
	CHECK_STR(e.code, "not-supported");
	CHECK_EQ(placement_count(&h, profile_find("ferry_cpu-4-2q", NULL), NULL), 1);
	struct vm *vm = running("vm", "ferry_cpu-05q");
	CHECK_EQ(placement_count(&h, profile_find("ferry_cpu-05q", NULL), NULL), 2);
	vm_free(vm);
	h.config.memory_bytes = 0;
}

int main(void)
{
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		puts("one processor only: it cannot be divided");
		return 77;
	}
	test_folder_enter();
	h.loop = loop_new();
	RUN(test_slices_are_nobody_elses);
	RUN(test_turns_and_partitions_do_not_mix);
	RUN(test_what_can_be_placed);
	loop_free(h.loop);
	return 0;
}
