// SPDX-License-Identifier: Apache-2.0
// One function per message of protocol.def that goes to the host:
//   cl_int send_NAME(flags, const struct p_NAME *m, uint32_t *ret_seq)
// puts it into the send buffer; session_flush() writes it. CL_SUCCESS, CL_OUT_OF_HOST_MEMORY when it
// does not fit into a frame, or the session's end. The lock is held, and given up while a PAID message
// waits for credit: decide what to send before, register for its answer (by *ret_seq) after.
#pragma once

#include "guest/stream/session.h"

#define SEND_TO_HOST(name)                                                                         \
	cl_int send_##name(uint16_t flags, const struct p_##name *m, uint32_t *ret_seq);
#define SEND_TO_GUEST(name)
#define MSG(name, number, direction, credit) SEND_##direction(name)
#include "vgpu/protocol/protocol_messages.h"
#undef SEND_TO_HOST
#undef SEND_TO_GUEST
