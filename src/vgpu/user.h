// SPDX-License-Identifier: Apache-2.0
// The users that VMs' ferry-vgpu processes run as.
#pragma once

#define VGPU_USERS_FIRST 61184 // the range that systemd.exec(5) keeps for DynamicUser=
#define VGPU_USERS_LAST  65519
