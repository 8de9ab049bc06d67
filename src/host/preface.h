// SPDX-License-Identifier: Apache-2.0
// The 64 bytes with which every connection to a ferryd begins (docs/interfaces.md, section 4).
#pragma once

#include <stdint.h>
#include "base/error.h"

#define PREFACE_BYTES   64
#define PREFACE_VERSION 1

struct preface {
	char kind; // 'C', 'V' or 'R'
	uint8_t migration[16], token[16];
	uint16_t vgpu, channel;
};

void preface_encode(const struct preface *p, uint8_t out[PREFACE_BYTES]);
// Checks magic, version, kind and that all unused bytes are zero: "protocol-version" or
// "bad-message".
int preface_decode(const uint8_t in[PREFACE_BYTES], struct preface *ret, struct ferry_error *e);
