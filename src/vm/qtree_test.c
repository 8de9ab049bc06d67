// SPDX-License-Identifier: Apache-2.0
#include "vm/qtree.h"
#include "base/test.h"

// As QEMU 7.2 says it, shortened.
static const char text[] = "          bus: vser0.0\r\n"
			   "            type virtio-serial-bus\r\n"
			   "            dev: virtserialport, id \"gpu0p10\"\r\n"
			   "              chardev = \"gpu0p10\"\r\n"
			   "              port 12, guest off, host off, throttle off\r\n"
			   "            dev: virtserialport, id \"gpu0p1\"\r\n"
			   "              nr = 3 (0x3)\r\n"
			   "              name = \"ferry.gpu0.1\"\r\n"
			   "              port 3, guest on, host off, throttle on\r\n"
			   "            dev: virtserialport, id \"gpu0p0\"\r\n"
			   "              port 2, guest on, host off, throttle off\r\n"
			   "            dev: virtserialport, id \"\"\r\n"
			   "              port 1, guest on, host off, throttle on\r\n";

static void the_guests_open_ports_are_found(void)
{
	CHECK(qtree_is_open(text, "gpu0p0"));
	CHECK(qtree_is_open(text, "gpu0p1"));
	CHECK(!qtree_is_open(text, "gpu0p10"));
	CHECK(!qtree_is_open(text, "gpu0p2"));
}

static void the_port_that_is_held_is_found(void)
{
	CHECK(qtree_is_held(text, "gpu0p1"));
	CHECK(!qtree_is_held(text, "gpu0p0"));
	CHECK(!qtree_is_held(text, "gpu0p10"));
	CHECK(!qtree_is_held(text, "gpu0p2"));
	CHECK(!qtree_is_held("", "gpu0p1"));
	CHECK(!qtree_is_held("dev: virtserialport, id \"gpu0p1\"", "gpu0p1"));
}

int main(void)
{
	RUN(the_guests_open_ports_are_found);
	RUN(the_port_that_is_held_is_found);
}
