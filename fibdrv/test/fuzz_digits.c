// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Fuzzes conversion: the input is where each way begins, and chunks, often all
 * nines or zeros. The number that they stand for must become these chunks and
 * their digits again.
 */
#include "fuzz.h"
#include "../arith/bn.h"
#include "../arith/bn_thresholds.h"
#include "../arith/bn_tune.h"
#include "../arith/ntt.h"
#include "../arith/radix.h"

#define CHUNKS_MAX	700

struct bn_thresholds bn_thresholds = BN_TUNED;

static void demand_digits(const u64 *chunk, size_t chunks, size_t digits)
{
	char *text = malloc(digits), part[RADIX_CHUNK_DIGITS + 1];
	size_t i, at = digits;

	FUZZ_DEMAND(!radix_decimal(text, digits, chunk));
	for (i = 0; i < chunks; i++) {
		size_t count = at < RADIX_CHUNK_DIGITS ? at : RADIX_CHUNK_DIGITS;

		at -= count;
		snprintf(part, sizeof(part), "%019llu", chunk[i]);
		FUZZ_DEMAND(!memcmp(text + at, part + RADIX_CHUNK_DIGITS - count, count));
	}
	free(text);
}

int fuzz_one(const unsigned char *data, size_t size)
{
	struct fuzz_input in = { data, size };
	const u64 way = fuzz_take(&in, 1);
	size_t chunks, digits, room, count, i;
	u64 *chunk, *a;

	bn_thresholds = (struct bn_thresholds)BN_TUNED;
	bn_thresholds.mul_ntt = way & 1 ? NTT_MIN + fuzz_take(&in, 1) : CHUNKS_MAX;
	bn_thresholds.middle_ntt = way & 2 ? NTT_MIN + fuzz_take(&in, 1) : CHUNKS_MAX;
	bn_thresholds.radix_leaf = 32 + fuzz_take(&in, 1) % 64;
	bn_thresholds.radix_split = 64 + fuzz_take(&in, 1) % 64;

	chunks = 1 + fuzz_take(&in, 2) % CHUNKS_MAX;
	digits = chunks * RADIX_CHUNK_DIGITS;
	chunk = calloc(chunks, sizeof(*chunk));
	for (i = 0; i < chunks; i++) {
		const u64 kind = in.size ? fuzz_take(&in, 1) : i % 7;

		if (kind < 3 && i)
			chunk[i] = chunk[i - 1];
		else if (kind < 100)
			chunk[i] = kind & 1 ? RADIX_CHUNK - 1 : 0;
		else
			chunk[i] = fuzz_take(&in, 8) % RADIX_CHUNK;
	}

	room = radix_room(digits);
	a = calloc(room, sizeof(*a));
	for (i = chunks; i--;) {
		bn_mul_limb(a, a, chunks, RADIX_CHUNK);
		bn_add_limb(a, chunks, chunk[i]);
	}
	count = bn_trim(a, chunks);
	FUZZ_DEMAND(!radix_chunks(a, count ? count : 1, digits));
	FUZZ_DEMAND(!memcmp(a, chunk, chunks * sizeof(*a)));
	demand_digits(a, chunks, digits);
	free(chunk);
	free(a);
	return 0;
}
