// SPDX-License-Identifier: Apache-2.0
#include "guest/cl/include.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/test.h"

static char dir[] = "/tmp/ferry-include-XXXXXX";

static void put(const char *name, const char *text)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	f = fopen(path, "w");
	CHECK(f != NULL);
	fputs(text, f);
	fclose(f);
}

static void expect(const char *source, const char *option, const char *wanted)
{
	char options[200];
	struct buf out = { 0 };

	snprintf(options, sizeof options, option, dir);
	CHECK_EQ(include_expand(source, options, &out), 0);
	buf_put_u8(&out, 0);
	CHECK_STR(wanted, (char *)out.data);
	buf_free(&out);
}

int main(void)
{
	CHECK(mkdtemp(dir) != NULL);
	put("a.h", "#ifndef A\n#define A\n#include \"b.h\"\n#endif\n");
	put("b.h", "#include \"a.h\"\nint b;\n");

	CHECK(!include_present("int x; // include\n#included\n"));
	CHECK(include_present("int x;\n  # include <a.h>"));

	expect("#include \"b.h\"\nint x;", "-I %s",
		"#ifndef A\n#define A\n\n#endif\n\nint b;\n\nint x;\n");
	expect("#include <gone.h>\n", "-I %s", "#include <gone.h>\n");
	expect("#include \"b.h\"\n", "-cl-std=CL1.2 %s", "#include \"b.h\"\n");
	expect("#include M2S(WHERE/gone.h)\n", "-D WHERE=%s", "#include M2S(WHERE/gone.h)\n");
	expect("#include\n#include \"\n#include <>\n#include (\n#include )(\n", "-I%s",
		"#include\n#include \"\n#include <>\n#include (\n#include )(\n");

	put("b.h", "int c;");
	expect("#include M2S(WHERE/b.h)\n", "-D X -DWHERE=%s -D", "int c;\n\n");
	expect("#include \"a.h\"\n", "-I \"%s\"", "#ifndef A\n#define A\nint c;\n\n#endif\n\n");

	for (const char *const *n = (const char *const[]){ "a.h", "b.h", NULL }; *n; n++) {
		char path[200];
		snprintf(path, sizeof path, "%s/%s", dir, *n);
		unlink(path);
	}
	rmdir(dir);
	return 0;
}
