// SPDX-License-Identifier: Apache-2.0
#include "host/vm_doc.h"
#include "base/test.h"
#include "host/test_folder.h"

#include <sys/stat.h>

static json_t *request(void)
{
	return json_pack("{s:s, s:s}", "name", "vm1", "profile", "ferry_cpu-05q");
}

// A complete configuration, as it comes from a peer.
static json_t *complete(void)
{
	struct config c = { .host = "a", .guest = { .prefix = 16, .gateway = "10.77.0.1" } };
	json_t *doc = request(), *config = vm_doc_from_request(doc, NULL);

	json_decref(doc);
	CHECK(config);
	vm_doc_add_network(config, &c, 10u << 24 | 77 << 16 | 1 << 8 | 9);
	return config;
}

static void test_defaults(void)
{
	json_t *config = complete();
	struct vm_spec s;

	CHECK_EQ(vm_doc_check(config, NULL), 0);
	CHECK_EQ(vm_doc_read(config, &s, NULL), 0);
	CHECK_STR(s.name, "vm1");
	CHECK_EQ(s.vgpus, 1);
	CHECK_EQ(s.vcpus, 1);
	CHECK_EQ(s.memory_bytes, 512 << 20);
	CHECK_EQ(s.framebuffer_bytes, 512 << 20);
	CHECK(!s.overlay && !s.disk);
	CHECK_STR(s.ip, "10.77.1.9");
	CHECK_EQ(strlen(s.mac), 17);
	json_decref(config);
}

// The request with one field set; steals the value. The error's code, or "" when it was accepted.
static const char *request_with(const char *key, json_t *value)
{
	static struct ferry_error e;
	json_t *doc = request();

	e = FERRY_ERROR_INIT;
	json_object_set_new(doc, key, value);
	json_t *config = vm_doc_from_request(doc, &e);
	CHECK_EQ(config == NULL, e.err != 0);
	json_decref(config);
	json_decref(doc);
	return e.code;
}

static void test_requests_are_checked(void)
{
	static const char *const names[] = { "", ".", "..", "-x", "a/b", "a b", "\303\244",
		"0123456789012345678901234567890123", NULL };

	for (const char *const *n = names; *n; n++)
		CHECK_STR(request_with("name", json_string(*n)), "bad-name");
	CHECK_STR(request_with("name", json_integer(3)), "bad-name");
	CHECK_STR(request_with("profile", json_string("ferry_cpu-99q")), "no-profile");
	CHECK_STR(request_with("profile", json_null()), "bad-message");
	CHECK_STR(request_with("memory", json_string("512M")), "");
	CHECK_STR(request_with("memory", json_string("127M")), "bad-request");
	CHECK_STR(request_with("memory", json_string("2T")), "bad-request");
	CHECK_STR(request_with("memory", json_string("much")), "bad-size");
	CHECK_STR(request_with("memory", json_integer(-1)), "bad-request");
	CHECK_STR(request_with("memory", json_true()), "bad-request");
	CHECK_STR(request_with("vgpus", json_integer(0)), "bad-request");
	CHECK_STR(request_with("vgpus", json_integer(VM_GPUS_MAX + 1)), "bad-request");
	CHECK_STR(request_with("vcpus", json_integer(VM_VCPUS_MAX)), "");
	CHECK_STR(request_with("vcpus", json_integer(VM_VCPUS_MAX + 1)), "bad-request");
	CHECK_STR(request_with("vcpus", json_string("1")), "bad-request");
	CHECK_STR(request_with("colour", json_string("red")), "bad-request");
	CHECK_STR(request_with("settings", json_object()), "bad-request");
}

static void test_files_must_be_there(void)
{
	char path[128];
	FILE *f = fopen("disk.img", "w");

	fclose(f);
	mkdir("overlay", 0755);
	snprintf(path, sizeof path, "%s/disk.img", test_folder_path);
	CHECK_STR(request_with("disk", json_string(path)), "");
	CHECK_STR(request_with("overlay", json_string(path)), "no-file");
	snprintf(path, sizeof path, "%s/overlay", test_folder_path);
	CHECK_STR(request_with("overlay", json_string(path)), "");
	CHECK_STR(request_with("disk", json_string(path)), "no-file");
	CHECK_STR(request_with("disk", json_string("/nonexistent")), "no-file");
	CHECK_STR(request_with("disk", json_string("disk.img")), "bad-request"); // not absolute
	CHECK_STR(request_with("disk", json_string("/a\nb")), "bad-request");
	CHECK_STR(request_with("disk", json_integer(1)), "bad-request");
}

static void test_devices(void)
{
	CHECK_STR(request_with("devices", json_pack("[s, s, s]", "passthrough:0000:01:00.0",
						  "iso:/x.iso", "serial:/dev/ttyS0")),
		"");
	CHECK_STR(request_with("devices", json_pack("[s]", "iso:x")), "bad-request");
	CHECK_STR(request_with("devices", json_pack("[s]", "usb:1")), "bad-request");
	CHECK_STR(request_with("devices", json_pack("[s]", "serial:")), "bad-request");
	CHECK_STR(request_with("devices", json_pack("[i]", 1)), "bad-request");
	CHECK_STR(request_with("devices", json_string("iso:/x")), "bad-request");
	json_t *many = json_array();
	for (int i = 0; i <= VM_MAX_DEVICES; i++)
		json_array_append_new(many, json_string("iso:/x"));
	CHECK_STR(request_with("devices", many), "bad-request");
}

// A peer's configuration with one field changed (NULL: without it); steals the value.
static int check_with(const char *key, json_t *value)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	json_t *config = complete();

	if (value)
		json_object_set_new(config, key, value);
	else
		json_object_del(config, key);
	int r = vm_doc_check(config, &e);
	CHECK_EQ(r < 0, e.message[0] != 0);
	json_decref(config);
	return r;
}

static void test_every_field_of_a_peer_is_checked(void)
{
	static const char *const needed[] = { "name", "profile", "vgpus", "memory_bytes", "vcpus",
		"machine", "accel", "cpu_key", "mac", "ip", "prefix", "gateway", NULL };
	static const char *const optional[] = { "overlay", "disk", "devices", "settings", NULL };
	char long_text[VM_PATH_MAX + 10];

	memset(long_text, '/', sizeof long_text - 1);
	long_text[sizeof long_text - 1] = 0;
	for (const char *const *k = needed; *k; k++) {
		CHECK(check_with(*k, NULL) < 0);
		CHECK(check_with(*k, json_null()) < 0);
	}
	for (int i = 0; i < 16; i++) {
		const char *k = i < 12 ? needed[i] : optional[i - 12];
		CHECK(check_with(k, json_real(1.5)) < 0);
		CHECK(check_with(k, json_integer(-1)) < 0);
		CHECK(check_with(k, json_pack("[[i]]", 1)) < 0);
		CHECK(check_with(k, json_string(long_text)) < 0);
	}
	CHECK(check_with("extra", json_true()) < 0);
	CHECK(check_with("prefix", json_integer(33)) < 0);
	CHECK(check_with("ip", json_string("10.77.1")) < 0);
	CHECK(check_with("ip", json_string("")) == 0);
	CHECK(check_with("mac", json_string("52:54:00:00:00:0g")) < 0);
	CHECK(check_with("mac", json_string("52-54-00-00-00-00")) < 0);
	CHECK(check_with("memory_bytes", json_integer(VM_MAX_MEMORY + 1)) < 0);
	CHECK(check_with("machine", json_string("pc,accel=kvm")) < 0);
	CHECK(check_with("settings", json_pack("{s:s}", "migration.channels", "17")) < 0);
	CHECK(check_with("settings", json_pack("{s:s}", "migration.channels", "16")) == 0);
	CHECK(check_with("settings", json_pack("{s:i}", "migration.channels", 1)) < 0);
	CHECK(vm_doc_check(json_null(), NULL) < 0);
}

static void test_an_address_belongs_to_host_and_name(void)
{
	struct config a = { .host = "a" }, b = { .host = "b" };
	json_t *one = json_pack("{s:s}", "name", "vm1"), *two = json_pack("{s:s}", "name", "vm1");

	vm_doc_add_network(one, &a, 0);
	vm_doc_add_network(two, &b, 0);
	CHECK_STR(json_string_or(one, "ip", "?"), "");
	CHECK(strcmp(json_string_or(one, "mac", ""), json_string_or(two, "mac", "")));
	json_decref(one);
	json_decref(two);
}

int main(void)
{
	test_folder_enter();
	RUN(test_defaults);
	RUN(test_requests_are_checked);
	RUN(test_files_must_be_there);
	RUN(test_devices);
	RUN(test_every_field_of_a_peer_is_checked);
	RUN(test_an_address_belongs_to_host_and_name);
	return 0;
}
