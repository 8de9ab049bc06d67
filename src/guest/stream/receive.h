// SPDX-License-Identifier: Apache-2.0
// What the host says: frames in session.in, each checked and acted upon. Needs the session's lock.
#pragma once

#include "guest/cl/dispatch.h"

// Handles every whole frame in session.in and keeps the rest. A frame that breaks the protocol ends
// the session.
void receive_frames(void);
// Ends every unfinished event with that status.
void receive_lost(cl_int status);
