// SPDX-License-Identifier: Apache-2.0
#include "vgpu/session/seal.h"

#include <string.h>
#include <xxhash.h>

#define MAGIC      0x314e494259525246ull // "FRRYBIN1"
#define HEAD_BYTES 32                    // magic, digest of the key, digest of the binary

static uint64_t key_digest(const char *key)
{
	return XXH3_64bits(key, strlen(key));
}

void seal_put(struct buf *to, const char *key, struct p_blob binary)
{
	XXH128_hash_t digest = XXH3_128bits(binary.at, binary.n);

	buf_put_u64(to, MAGIC);
	buf_put_u64(to, key_digest(key));
	buf_put_u64(to, digest.low64);
	buf_put_u64(to, digest.high64);
	buf_put(to, binary.at, binary.n);
}

bool seal_open(struct p_blob sealed, const char *key, struct p_blob *ret)
{
	struct rd r = rd_make(sealed.at, sealed.n);
	uint64_t magic = rd_u64(&r), device = rd_u64(&r), low = rd_u64(&r), high = rd_u64(&r);

	if (r.failed || magic != MAGIC || (key && device != key_digest(key)))
		return false;
	const struct p_blob binary = { sealed.at + HEAD_BYTES, sealed.n - HEAD_BYTES };
	XXH128_hash_t digest = XXH3_128bits(binary.at, binary.n);
	if (digest.low64 != low || digest.high64 != high)
		return false;
	*ret = binary;
	return true;
}
