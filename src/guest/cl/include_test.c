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

// The compiler has the last word: the first time may stand in a branch that is not taken.
static void files_are_there_once(void)
{
	char options[200], path[200], link_path[200], wanted[1000], file[400];
	struct buf out = { 0 };
	struct stat st;

	put("a.h", "# pragma  once // as every header\nint a;");
	snprintf(path, sizeof path, "%s/a.h", dir);
	snprintf(link_path, sizeof link_path, "%s/same.h", dir);
	CHECK_EQ(link(path, link_path), 0);
	CHECK_EQ(stat(path, &st), 0);
	snprintf(file, sizeof file,
		"#ifndef ferry_once_%llx_%llx\n#define ferry_once_%llx_%llx\n\nint a;\n#endif\n\n",
		(unsigned long long)st.st_dev, (unsigned long long)st.st_ino,
		(unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	snprintf(wanted, sizeof wanted, "%s%s", file, file);
	expect("#include \"a.h\"\n#include \"same.h\"\n", "-I%s", wanted);
	CHECK_EQ(unlink(link_path), 0);
	put("a.h", "/*\n#pragma once\n*/\n#pragma once_more\n");
	snprintf(options, sizeof options, "-I%s", dir);
	CHECK_EQ(include_expand("#pragma once\n#include \"a.h\"\n", options, &out), 0);
	buf_put_u8(&out, 0);
	CHECK_STR("#pragma once\n/*\n#pragma once\n*/\n#pragma once_more\n\n", (char *)out.data);
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

	CHECK(!include_present("/* so:\n#include <a.h>\n*/\n"));
	CHECK(include_present("int a; // /*\nconstant char c[] = \"/*\";\n#include <a.h>\n"));
	put("b.h", "/* #include \"a.h\"\n#include \"a.h\"\n*/ int b;");
	expect("/* so:\n#include \"b.h\"\n*/\n#include \"b.h\"\n", "-I%s",
		"/* so:\n#include \"b.h\"\n*/\n"
		"/* #include \"a.h\"\n#include \"a.h\"\n*/ int b;\n\n");
	files_are_there_once();

	for (const char *const *n = (const char *const[]){ "a.h", "b.h", NULL }; *n; n++) {
		char path[200];
		snprintf(path, sizeof path, "%s/%s", dir, *n);
		unlink(path);
	}
	rmdir(dir);
	return 0;
}
