// SPDX-License-Identifier: Apache-2.0
#include "base/test.h"
#include "host/host.h"
#include "host/placement.h"
#include "host/precheck/precheck.h"
#include "host/test_folder.h"
#include "host/vm_link.h"

#include <sys/stat.h>
#include <unistd.h>

static struct host h;

static void make_host(void)
{
	h = (struct host){ .config = { .host = "b", .guest = { .bridge = "br0" } },
		.accel = { VM_ACCEL_TCG, "" } };
	strcpy(h.facts.qemu_version, "7.2.22");
	strcpy(h.facts.default_machine, "pc-q35-7.2");
	strcpy(h.facts.machines[h.facts.n_machines++], "pc-q35-7.2");
	strcpy(h.facts.cpu_key, "tcg:max:7.2");
	snprintf(h.config.image, sizeof h.config.image, "%s", test_folder_path);
	snprintf(h.config.programs, sizeof h.config.programs, "%s", test_folder_path);
	fclose(fopen("kernel", "w"));
	fclose(fopen("ferry-vgpu", "w"));
	chmod("ferry-vgpu", 0755);
}

// What a source asks with; its "vm" is complete and fits this host.
static json_t *question(void)
{
	json_t *request = json_pack(
		"{s:s, s:s, s:s}", "name", "vm1", "profile", "ferry_cpu-05q", "memory", "128M");
	json_t *vm = vm_doc_from_request(request, NULL);

	json_decref(request);
	vm_doc_add_network(vm, &h.config, 0);
	json_object_set_new(vm, "machine", json_string("pc-q35-7.2"));
	json_object_set_new(vm, "accel", json_string("tcg"));
	json_object_set_new(vm, "cpu_key", json_string("tcg:max:7.2"));
	return json_pack(
		"{s:o, s:s, s:i}", "vm", vm, "qemu_version", "7.2.22", "allocated_bytes", 4096);
}

// The codes of all findings, each followed by a blank; frees the question.
static const char *codes(json_t *args)
{
	static char text[600];
	json_t *findings = json_array(), *f;
	size_t i;

	text[0] = 0;
	CHECK_EQ(precheck_destination(&h, args, findings, NULL), 0);
	json_array_foreach(findings, i, f)
	{
		CHECK(json_string_or(f, "cause", "")[0]);
		CHECK(json_string_or(f, "remedy", "")[0]);
		sprintf(text + strlen(text), "%s ", json_string_or(f, "code", "?"));
	}
	json_decref(findings);
	json_decref(args);
	return text;
}

static json_t *vm_of(json_t *args)
{
	return json_object_get(args, "vm");
}

static void test_a_host_that_fits(void)
{
	CHECK_STR(codes(question()), "");
}

static void test_one_finding_for_each_cause(void)
{
	json_t *args = question();

	json_object_set_new(args, "qemu_version", json_string("7.3.0"));
	CHECK(strstr(codes(args), "qemu-version "));
	args = question();
	json_object_set_new(args, "qemu_version", json_string("7.1.9"));
	CHECK(!strstr(codes(args), "qemu-version "));
	args = question();
	json_object_set_new(vm_of(args), "accel", json_string("kvm"));
	CHECK(strstr(codes(args), "accelerator "));
	args = question();
	json_object_set_new(vm_of(args), "cpu_key", json_string("tcg:max:9.0"));
	CHECK(strstr(codes(args), "cpu-features "));
	args = question();
	json_object_set_new(vm_of(args), "machine", json_string("pc-q35-9.0"));
	CHECK_STR(codes(args), "machine-type ");
	args = question();
	json_object_set_new(vm_of(args), "disk", json_string("/nonexistent.img"));
	CHECK(strstr(codes(args), "disk-not-visible "));
	args = question();
	json_object_set_new(vm_of(args), "overlay", json_string("/nonexistent"));
	CHECK(strstr(codes(args), "overlay-not-visible "));
	args = question();
	json_object_set_new(vm_of(args), "profile", json_string("ferry_cpu-99q"));
	CHECK_STR(codes(args), "no-profile ");
}

static json_t *device(const char *key, bool svm)
{
	return json_pack("{s:s, s:s, s:s, s:b}", "name", "a processor", "driver", "3.1", "key", key,
		"svm", svm);
}

static json_t *question_with_device(const char *key, bool svm, int svm_bytes)
{
	json_t *args = question();

	json_object_set_new(args, "device", device(key, svm));
	json_object_set_new(args, "svm_bytes", json_integer(svm_bytes));
	return args;
}

static void test_devices(void)
{
	json_t *ours = device("k1", true), *narrow = device("k2", false);

	CHECK_STR(codes(question_with_device("k1", true, 4096)), ""); // ours is not known
	host_device_parse(&h.device, ours);
	CHECK_STR(codes(question()), "");
	CHECK_STR(codes(question_with_device("k1", true, 4096)), "");
	CHECK_STR(codes(question_with_device("k3", true, 4096)), "device-differs ");
	host_device_parse(&h.device, narrow);
	CHECK_STR(codes(question_with_device("k2", false, 0)), "");
	CHECK_STR(codes(question_with_device("k1", true, 4096)), "device-differs no-svm ");
	h.device = (struct host_device){ 0 };
	json_decref(ours);
	json_decref(narrow);
}

// In use it forbids the migration, otherwise it is told.
static void test_shared_virtual_memory(void)
{
	json_t *narrow = device("k2", false);

	host_device_parse(&h.device, narrow);
	for (int used = 0; used < 2; used++) {
		json_t *args = question_with_device("k1", true, used * 4096);
		json_t *findings = json_array();
		CHECK_EQ(precheck_destination(&h, args, findings, NULL), 0);
		json_t *report = json_pack("{s:o}", "findings", findings);
		struct ferry_error e = FERRY_ERROR_INIT;
		CHECK_EQ(precheck_refuses(report, &e), used);
		CHECK(!used || !strcmp(e.code, "no-svm"));
		json_decref(report);
		json_decref(args);
	}
	h.device = (struct host_device){ 0 };
	json_decref(narrow);
}

static void test_memory(void)
{
	json_t *args = question();

	json_object_set_new(args, "allocated_bytes", json_integer(1ll << 49));
	CHECK(strstr(codes(args), "no-memory "));
	args = question();
	json_object_set_new(vm_of(args), "memory_bytes", json_integer(VM_MAX_MEMORY));
	CHECK(strstr(codes(args), "no-memory "));
	args = question(); // eight whole devices may grow beyond it, today they hold nothing
	json_object_set_new(vm_of(args), "profile", json_string("ferry_cpu-8q"));
	json_object_set_new(vm_of(args), "vgpus", json_integer(8));
	if (host_available_memory() < 64ull << 30)
		CHECK(strstr(codes(args), "memory-tight "));
	else
		json_decref(args);
}

static struct vm *other_vm(const char *name, enum vm_state state)
{
	json_t *args = question();
	json_t *config = json_deep_copy(vm_of(args));

	json_decref(args);
	json_object_set_new(config, "name", json_string(name));
	struct vm *vm = vm_new(&h, config, NULL);
	vm->state = state;
	return vm;
}

// Each of these VMs has 128 MiB of RAM and 512 MiB of framebuffer: 640 MiB.
static void test_a_cap_on_what_vms_are_given(void)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	struct vm_spec s;

	h.config.memory_bytes = 640ull << 20;
	CHECK_STR(codes(question()), "");
	h.config.memory_bytes--;
	CHECK_STR(codes(question()), "no-memory ");
	h.config.memory_bytes = 1280ull << 20;
	struct vm *one = other_vm("one", VM_RUNNING), *two = other_vm("two", VM_STOPPED);
	CHECK_EQ(host_given_memory(&h), 640ull << 20);
	CHECK_STR(codes(question()), "");
	two->state = VM_INCOMING; // reserved before its processes are there
	CHECK_STR(codes(question()), "no-memory ");
	two->state = VM_RELEASED;
	two->qemu.pid = 1; // its frozen copy
	CHECK_STR(codes(question()), "no-memory ");
	CHECK_EQ(vm_doc_read(two->config, &s, NULL), 0);
	CHECK(precheck_room(&h, &s, &e) < 0);
	CHECK_STR(e.message, "VM 'two' needs 640 MiB, host b has 0 B left of the 1.2 GiB that it "
			     "gives to VMs");
	CHECK(precheck_placement(&h, two->config, NULL) < 0);
	two->qemu.pid = 0;
	CHECK_EQ(precheck_placement(&h, two->config, NULL), 0);
	vm_free(one);
	vm_free(two);
	h.config.memory_bytes = 0;
}

static void test_a_part_of_a_device_that_has_none_left(void)
{
	const char *const half = "ferry_cpu-4-2q";
	const bool divides = sysconf(_SC_NPROCESSORS_ONLN) >= 2;
	struct vm *there[2];
	json_t *args;

	for (int i = 0; i < 2; i++) {
		args = question();
		json_object_set_new(vm_of(args), "profile", json_string(half));
		CHECK_STR(codes(args), divides ? "" : "no-units ");
		there[i] = other_vm(i ? "two" : "one", VM_STOPPED);
		json_object_set_new(there[i]->config, "profile", json_string(half));
		CHECK_EQ(placement_assign(there[i], NULL) == 0, divides);
		there[i]->state = VM_RUNNING;
	}
	args = question();
	json_object_set_new(vm_of(args), "profile", json_string(half));
	CHECK_STR(codes(args), divides ? "no-slices " : "no-units ");
	CHECK_STR(codes(question()), "kind-mixed "); // in turns with all of them
	vm_free(there[0]);
	vm_free(there[1]);
	args = question(); // an eighth of fewer than eight compute units is none
	json_object_set_new(vm_of(args), "profile", json_string("ferry_cpu-1-1q"));
	CHECK_STR(codes(args), sysconf(_SC_NPROCESSORS_ONLN) >= 8 ? "" : "no-units ");
}

static void test_the_name(void)
{
	json_t *args = question();
	struct vm *there = vm_new(&h, json_deep_copy(vm_of(args)), NULL);

	there->state = VM_RELEASED; // it may come back
	CHECK(!strstr(codes(args), "name-taken "));
	there->state = VM_STOPPED;
	CHECK(strstr(codes(question()), "name-taken "));
	vm_free(there);
}

static void test_all_at_once(void)
{
	json_t *args = question();
	json_t *vm = vm_of(args);

	h.config.guest.bridge[0] = 0;
	unlink("kernel");
	unlink("ferry-vgpu");
	h.facts.qemu_version[0] = 0;
	json_object_set_new(vm, "accel", json_string("kvm"));
	json_object_set_new(vm, "disk", json_string("/nonexistent.img"));
	json_object_set_new(vm, "memory_bytes", json_integer(VM_MAX_MEMORY));
	json_object_set_new(vm, "ip", json_string("10.77.1.1"));
	CHECK_STR(codes(args), "no-memory no-qemu accelerator disk-not-visible no-image "
			       "no-vgpu-program no-bridge ");
}

static void test_a_peer_that_asks_nonsense(void)
{
	static const char *const questions[] = { "{}", "{\"vm\":7}", "{\"vm\":{}}",
		"{\"vm\":{\"profile\":\"ferry_cpu-05q\"}}",
		"{\"vm\":{\"profile\":\"none\",\"name\":\"../x\"}}", NULL };

	for (const char *const *q = questions; *q; q++) {
		json_t *args = json_loads(*q, 0, NULL), *findings = json_array();
		struct ferry_error e = FERRY_ERROR_INIT;
		int r = precheck_destination(&h, args, findings, &e);
		CHECK(r < 0 || json_array_size(findings) > 0);
		json_decref(findings);
		json_decref(args);
	}
}

static void test_a_report_that_refuses(void)
{
	json_t *report = json_pack("{s:[]}", "findings"),
	       *list = json_object_get(report, "findings");
	struct ferry_error e = FERRY_ERROR_INIT;

	finding_add(list, SEVERITY_WARN, "memory-tight", "free some", "little memory");
	CHECK(!precheck_refuses(report, &e));
	finding_add(list, SEVERITY_REFUSE, "no-qemu", "install it", "no QEMU on %s", "b");
	for (int i = 0; i < 30; i++)
		finding_add(
			list, SEVERITY_REFUSE, "more", "fix it", "a cause of thirty bytes or so");
	CHECK(precheck_refuses(report, &e));
	CHECK_STR(e.code, "no-qemu");
	CHECK(!strncmp(e.message, "no QEMU on b; a cause", 21));
	CHECK_STR(e.remedies[0], "install it");
	json_decref(report);
}

int main(void)
{
	test_folder_enter();
	make_host();
	h.loop = loop_new();
	RUN(test_a_host_that_fits);
	RUN(test_one_finding_for_each_cause);
	RUN(test_devices);
	RUN(test_shared_virtual_memory);
	RUN(test_memory);
	RUN(test_a_cap_on_what_vms_are_given);
	RUN(test_a_part_of_a_device_that_has_none_left);
	RUN(test_the_name);
	RUN(test_a_peer_that_asks_nonsense);
	RUN(test_a_report_that_refuses);
	RUN(test_all_at_once); // leaves a host that lacks everything
	loop_free(h.loop);
	return 0;
}
