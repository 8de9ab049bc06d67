// SPDX-License-Identifier: Apache-2.0
#include "wire/record.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"

// What each type allows. The payload must be 1 to max_payload bytes where that is set, else exactly
// count * unit + fixed.
static const struct record_rule {
	const char *name;
	uint8_t flags;
	uint32_t min_count, max_count;
	bool has_first;
	uint32_t unit, fixed, max_payload;
} rules[] = {
	[RECORD_PAGES] = { "PAGES", 0, 1, RECORD_MAX_PAGES, true, RECORD_PAGE_BYTES },
	[RECORD_ZERO] = { "ZERO", 0, 1, UINT32_MAX, true },
	[RECORD_FREE] = { "FREE", 0, 1, UINT32_MAX, true },
	[RECORD_OBJECT] = { "OBJECT", RECORD_MORE, .max_payload = RECORD_MAX_CHUNK },
	[RECORD_BARRIER] = { "BARRIER" },
	[RECORD_FINISH] = { "FINISH", .fixed = RECORD_ROOT_BYTES },
	[RECORD_ROUND] = { "ROUND", RECORD_MORE | RECORD_SAME | RECORD_QUIET, 0,
		RECORD_MAX_CHUNK / RECORD_RUN_BYTES, .unit = RECORD_RUN_BYTES },
	[RECORD_ACK] = { "ACK", RECORD_DONE, 0, UINT32_MAX },
	[RECORD_COMING] = { "COMING", RECORD_MORE, 1, RECORD_MAX_CHUNK / RECORD_RUN_BYTES,
		.unit = RECORD_RUN_BYTES },
	[RECORD_ERROR] = { "ERROR", .max_payload = RECORD_MAX_ERROR },
};

void record_encode(const struct record *r, uint8_t ret[RECORD_BYTES])
{
	uint32_t magic = htole32(RECORD_MAGIC), round = htole32(r->round);
	uint32_t count = htole32(r->count);
	uint64_t first = htole64(r->first), payload = htole64(r->payload);

	memcpy(ret, &magic, 4);
	ret[4] = (uint8_t)r->type;
	ret[5] = r->flags;
	ret[6] = ret[7] = 0;
	memcpy(ret + 8, &round, 4);
	memcpy(ret + 12, &count, 4);
	memcpy(ret + 16, &first, 8);
	memcpy(ret + 24, &payload, 8);
}

static int bad(
	struct ferry_error *e, const struct record_rule *rule, const char *field, uint64_t value)
{
	return ferry_fail(e, EBADMSG, "bad-record", "%s record: %s is %llu",
		rule ? rule->name : "unknown", field, (unsigned long long)value);
}

static int check(const struct record *r, const struct record_rule *rule, struct ferry_error *e)
{
	if (r->flags & ~rule->flags)
		return bad(e, rule, "flags", r->flags);
	if (!r->round)
		return bad(e, rule, "round", 0);
	if (r->count < rule->min_count || r->count > rule->max_count)
		return bad(e, rule, "count", r->count);
	if (rule->has_first ? r->first >= RECORD_MAX_PAGE || r->count > RECORD_MAX_PAGE - r->first
			    : r->first != 0)
		return bad(e, rule, "first", r->first);
	if (rule->max_payload ? !r->payload || r->payload > rule->max_payload
			      : r->payload != (uint64_t)r->count * rule->unit + rule->fixed)
		return bad(e, rule, "payload", r->payload);
	return 0;
}

int record_decode(const uint8_t in[RECORD_BYTES], struct record *ret, struct ferry_error *e)
{
	struct rd rd = rd_make(in, RECORD_BYTES);
	uint32_t magic = rd_u32(&rd);
	uint8_t type = rd_u8(&rd);
	struct record r = { .type = type, .flags = rd_u8(&rd) };
	uint16_t zero = rd_u16(&rd);
	int rc;

	if (magic != RECORD_MAGIC)
		return bad(e, NULL, "magic", magic);
	if (type >= ARRAY_SIZE(rules) || !rules[type].name)
		return bad(e, NULL, "type", type);
	if (zero)
		return bad(e, &rules[type], "reserved", zero);
	r.round = rd_u32(&rd);
	r.count = rd_u32(&rd);
	r.first = rd_u64(&rd);
	r.payload = rd_u64(&rd);
	rc = check(&r, &rules[type], e);
	if (rc)
		return rc;
	*ret = r;
	return 0;
}

void record_error_encode(const struct ferry_error *from, struct buf *to)
{
	buf_put_blob(to, from->code, strnlen(from->code, sizeof(from->code)));
	buf_put_blob(to, from->message, strnlen(from->message, sizeof(from->message)));
}

void record_error_decode(const void *bytes, size_t n, struct ferry_error *ret)
{
	struct rd rd = rd_make(bytes, n);
	struct ferry_error e = { .err = -EREMOTEIO };
	size_t n_code, n_message;
	const uint8_t *code = rd_blob(&rd, sizeof(e.code) - 1, &n_code);
	const uint8_t *message = rd_blob(&rd, sizeof(e.message) - 1, &n_message);

	if (rd.failed) {
		ferry_fail(ret, EREMOTEIO, "peer-refused",
			"the peer refused without a readable reason");
		return;
	}
	memcpy(e.code, code, n_code);
	memcpy(e.message, message, n_message);
	for (char *p = e.message; *p; p++)
		if ((unsigned char)*p < ' ')
			*p = '?'; // it goes to logs and terminals
	for (char *p = e.code; *p; p++)
		if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 127)
			*p = '?';
	ferry_fail(ret, EREMOTEIO, e.code, "%s", e.message);
}
