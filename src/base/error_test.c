// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"
#include "base/test.h"

#include <errno.h>

static void the_first_cause_is_kept_and_prefixed(void)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	CHECK_EQ(ferry_fail(&e, ENOENT, "no-file", "no %s", "disk"), -ENOENT);
	CHECK_EQ(ferry_fail(&e, EIO, "other", "cannot start"), -ENOENT);
	CHECK_STR(e.code, "no-file");
	CHECK_STR(e.message, "cannot start: no disk");
	CHECK_EQ(ferry_error_prefix(&e, "vm %s", "x"), -ENOENT);
	CHECK_STR(e.message, "vm x: cannot start: no disk");
}

static void it_survives_the_wire(void)
{
	struct ferry_error e = FERRY_ERROR_INIT, back;

	ferry_fail(&e, EIO, "link", "cut");
	ferry_error_remedy(&e, "look at the cable");
	json_t *doc = ferry_error_to_json(&e);
	ferry_error_from_json(&back, doc);
	json_decref(doc);
	CHECK_STR(back.code, "link");
	CHECK_STR(back.message, "cut");
	CHECK_STR(back.remedies[0], "look at the cable");
	CHECK(back.err < 0);
	ferry_error_from_json(&back, NULL);
	CHECK_STR(back.code, "");
}

int main(void)
{
	RUN(the_first_cause_is_kept_and_prefixed);
	RUN(it_survives_the_wire);
	CHECK_EQ(ferry_fail(NULL, EIO, "x", "y"), -EIO);
}
