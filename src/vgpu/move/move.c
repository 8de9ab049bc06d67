// SPDX-License-Identifier: Apache-2.0
#include "vgpu/move/move.h"

#include <errno.h>
#include <string.h>
#include "base/cleanup.h"

static const char *const mode_words[] = {
	[MOVE_PRECOPY] = "precopy",
	[MOVE_STOP_COPY] = "stop-copy",
	[MOVE_SINGLE_PASS] = "single-pass",
};

int move_mode_parse(const char *word, enum move_mode *ret, struct ferry_error *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(mode_words); i++) {
		if (!strcmp(word, mode_words[i])) {
			*ret = (enum move_mode)i;
			return 0;
		}
	}
	return ferry_fail(
		e, EINVAL, "bad-mode", "mode '%s': not precopy, stop-copy or single-pass", word);
}
