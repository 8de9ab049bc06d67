// SPDX-License-Identifier: Apache-2.0
#include "guest/stream/send.h"

#define SEND_TO_HOST(name, credit)                                                                 \
	cl_int send_##name(uint16_t flags, const struct p_##name *m, uint32_t *ret_seq)            \
	{                                                                                          \
		cl_int err = session_room(credit == PAID);                                         \
		size_t start = session.out.len;                                                    \
		uint32_t seq = session.seq + 1;                                                    \
		if (err)                                                                           \
			return err;                                                                \
		if (p_put_##name(&session.out, flags, seq, m) < 0)                                 \
			return CL_OUT_OF_HOST_MEMORY;                                              \
		session.seq = seq;                                                                 \
		if (ret_seq)                                                                       \
			*ret_seq = seq;                                                            \
		session_sent(start, credit == PAID);                                               \
		return CL_SUCCESS;                                                                 \
	}
#define SEND_TO_GUEST(name, credit)
#define MSG(name, number, direction, credit) SEND_##direction(name, credit)
#include "vgpu/protocol/protocol_messages.h"
