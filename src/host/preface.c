// SPDX-License-Identifier: Apache-2.0
#include "host/preface.h"
#include "base/buf.h"

#include <errno.h>
#include <string.h>

static const char magic[5] = { 'F', 'E', 'R', 'R', 'Y' };

void preface_encode(const struct preface *p, uint8_t out[PREFACE_BYTES])
{
	memset(out, 0, PREFACE_BYTES);
	memcpy(out, magic, sizeof magic);
	out[5] = (uint8_t)p->kind;
	out[6] = PREFACE_VERSION & 255;
	out[7] = PREFACE_VERSION >> 8;
	if (p->kind == 'C')
		return;
	memcpy(out + 8, p->migration, 16);
	memcpy(out + 24, p->token, 16);
	out[40] = (uint8_t)(p->vgpu & 255);
	out[41] = (uint8_t)(p->vgpu >> 8);
	out[42] = (uint8_t)(p->channel & 255);
	out[43] = (uint8_t)(p->channel >> 8);
}

int preface_decode(const uint8_t in[PREFACE_BYTES], struct preface *ret, struct ferry_error *e)
{
	struct rd r = rd_make(in, PREFACE_BYTES);
	struct preface p = { 0 };

	if (memcmp(rd_bytes(&r, sizeof magic), magic, sizeof magic))
		return ferry_fail(e, EPROTO, "bad-message", "the connection is not Ferry's");
	p.kind = (char)rd_u8(&r);
	uint16_t version = rd_u16(&r);
	if (version != PREFACE_VERSION)
		return ferry_fail(e, EPROTO, "protocol-version",
			"the connection has version %u, this host %u", version, PREFACE_VERSION);
	if (p.kind != 'C' && p.kind != 'V' && p.kind != 'R')
		return ferry_fail(e, EPROTO, "bad-message", "the connection has no known kind");
	if (p.kind != 'C') {
		memcpy(p.migration, rd_bytes(&r, 16), 16);
		memcpy(p.token, rd_bytes(&r, 16), 16);
		p.vgpu = rd_u16(&r);
		p.channel = rd_u16(&r);
	}
	while (r.left)
		if (rd_u8(&r))
			return ferry_fail(e, EPROTO, "bad-message", "the preface has stray bytes");
	*ret = p;
	return 0;
}
