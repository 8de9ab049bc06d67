// SPDX-License-Identifier: Apache-2.0
// Whether what switches leave behind grows: descriptors and memory of the program, of the ferry-vgpu that
// has just taken over, and descriptors of this process, which stands in for QEMU.
#pragma once

#include <stdbool.h>
#include <sys/types.h>

// After a switch. What has ended meanwhile is not noted.
void flat_note(pid_t program, pid_t vgpu);
// Every five seconds at most: how many of how many switches, and the latest figures.
void flat_say(int moves, int of);
// Prints the second quarter and the last side by side: false when something grew, or there were fewer
// than 8 switches. The first quarter is for what is loaded once. Under AddressSanitizer, which keeps what
// was freed, memory is printed and not judged.
bool flat_check(void);
