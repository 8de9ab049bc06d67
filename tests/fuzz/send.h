// SPDX-License-Identifier: Apache-2.0
// Messages of a guest, appended to a buf. Needs a `uint32_t seq`.
#pragma once

#include "base/test.h"
#include "vgpu/protocol/protocol.h"

#define SEND(b, name, ...) CHECK_EQ(p_put_##name(b, 0, ++seq, &(struct p_##name){ __VA_ARGS__ }), 0)
#define TEXT(s)                                                                                    \
	{                                                                                          \
		(const uint8_t *)(s), sizeof(s) - 1                                                \
	}
