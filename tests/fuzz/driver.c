// SPDX-License-Identifier: Apache-2.0
// A fuzzer without libFuzzer: "--runs N [--seed S]" makes inputs; every other argument is a file to
// replay, or a folder of them.
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "fuzz/driver.h"

static int replay_file(const char *path)
{
	_cleanup_free_ char *text = NULL;
	size_t n;

	if (file_read(path, 1 << 20, &text, &n, NULL) < 0)
		return -1;
	LLVMFuzzerTestOneInput((const uint8_t *)text, n);
	return 1;
}

// Number of inputs, or -1.
static int replay(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *one;
	char file[4352];
	int n = 0;

	if (!d)
		return replay_file(path);
	while (n >= 0 && (one = readdir(d))) {
		if (one->d_name[0] == '.')
			continue;
		snprintf(file, sizeof file, "%.4000s/%s", path, one->d_name);
		n = replay_file(file) < 0 ? -1 : n + 1;
	}
	closedir(d);
	return n ? n : -1; // an empty folder is a mistake
}

int main(int argc, char **argv)
{
	int runs = 0, done = 0;

	setenv("FERRY_LOG", "error", 0);
	log_init("fuzz");
	srand(1);
	for (int i = 1; i < argc; i++) {
		if (i + 1 < argc && !strcmp(argv[i], "--runs")) {
			runs = atoi(argv[++i]);
		} else if (i + 1 < argc && !strcmp(argv[i], "--seed")) {
			srand((unsigned)atoi(argv[++i]));
		} else {
			int n = replay(argv[i]);
			if (n < 0) {
				fprintf(stderr, "cannot read %s\n", argv[i]);
				return 1;
			}
			done += n;
		}
	}
	for (; runs > 0; runs--, done++) {
		_cleanup_buf_ struct buf input = { 0 };
		fuzz_make_input(&input);
		LLVMFuzzerTestOneInput(input.data, input.len);
	}
	printf("%d inputs, no crash, no hang\n", done);
	return 0;
}
