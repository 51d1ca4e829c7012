// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Inverses, and the division that uses them: with the inverse that bn_inverse()
 * computes, with the greatest and the least one that it may return, and with
 * wrong ones. The linker puts __wrap_bn_inverse() before it (--wrap), so that
 * the driver's sources need no hook.
 */
#include <unistd.h>

#include "check.h"
#include "port_user.h"
#include "../arith/radix.h"

/* A loop that never ends is ended after this time. */
#define WATCHDOG_S	30

int __real_bn_inverse(u64 *v, const u64 *d, size_t n, u64 *work);
int __wrap_bn_inverse(u64 *v, const u64 *d, size_t n, u64 *work);

static enum {
	AS_IT_IS,	/* first */
	GREATEST,
	LEAST,
	SMALLER,	/* from here on wrong: by as much as the quotient notices */
	GREATER,
	LOWER_HALF_ZERO,
	ZERO,
	LAST_KIND = ZERO,
} kind;

/* What the quotient notices: 2^wrong_bit. */
static size_t wrong_bit;

/* rest = B^2n - d (B^n + v), n + 1 limbs: what the inverse is off, times d. */
static void inverse_rest(u64 *rest, const u64 *v, const u64 *d, size_t n)
{
	u64 *product = limbs(2 * n), *work = limbs(bn_mul_work(n));

	DEMAND(!bn_mul(product, d, v, n, work), "interrupted");
	DEMAND(!bn_add(product + n, product + n, d, n),
	       "inverse of %zu limbs is too large", n);
	bn_negate(product, 2 * n);
	DEMAND(bn_trim(product, 2 * n) <= n + 1,
	       "inverse of %zu limbs is much too small", n);
	memcpy(rest, product, (n + 1) * sizeof(*rest));
	free(product);
	free(work);
}

/* How much less than the greatest inverse it is: subtracts that from the rest. */
static unsigned int inverse_error(u64 *rest, const u64 *d, size_t n)
{
	unsigned int error = 0;

	for (; rest[n] || bn_compare(rest, d, n) >= 0; error++)
		rest[n] -= bn_sub(rest, rest, d, n);
	return error;
}

int __wrap_bn_inverse(u64 *v, const u64 *d, size_t n, u64 *work)
{
	int err = __real_bn_inverse(v, d, n, work);
	u64 *rest;

	if (err || kind == AS_IT_IS)
		return err;
	rest = limbs(n + 1);
	inverse_rest(rest, v, d, n);
	bn_add_limb(v, n, inverse_error(rest, d, n));
	free(rest);
	if (kind == LEAST)
		bn_sub_limb(v, n, 3);
	else if (kind == SMALLER)
		bn_sub_bit(v, n, wrong_bit);
	else if (kind == GREATER)
		bn_add_bit(v, n, wrong_bit);
	else if (kind == LOWER_HALF_ZERO)
		memset(v, 0, n / 2 * sizeof(*v));
	else if (kind == ZERO)
		memset(v, 0, n * sizeof(*v));
	return 0;
}

/* Up to 3 less than the greatest inverse is right: see bn.h. */
void check_inverse(size_t n)
{
	u64 *d = number(n), *v = limbs(n), *rest = limbs(n + 1);
	u64 *work = limbs(bn_inverse_work(n));

	if (any() % 4 == 0)
		memset(d, 0, n * sizeof(*d));
	d[n - 1] |= 1ULL << 63;
	d[0] |= 1;
	DEMAND(!__real_bn_inverse(v, d, n, work), "inverse");
	inverse_rest(rest, v, d, n);
	DEMAND(inverse_error(rest, d, n) <= 3, "inverse of %zu limbs is too small",
	       n);
	free(d);
	free(v);
	free(rest);
	free(work);
}

/* Modulo the prime 2^61 - 1, from the top. */
static u64 chunks_residue(const u64 *word, size_t n, u64 base)
{
	const u64 p = (1ULL << 61) - 1;
	__uint128_t rest = 0;

	while (n--) {
		DEMAND(base != RADIX_CHUNK || word[n] < base, "a chunk is too large");
		rest = (rest * (base ? base % p : 8) + word[n] % p) % p;
	}
	return (u64)rest;
}

/*
 * The digits of q D + r for D = 10^(19 * half), which the conversion divides by
 * D: where the quotient is decided. @power has @half limbs.
 */
static void check_quotient(const u64 *power, size_t half, unsigned int way)
{
	const size_t n = 2 * half, digits = n * RADIX_CHUNK_DIGITS;
	const size_t room = radix_room(digits);
	u64 *a = limbs(room), *q = limbs(half), *work = limbs(bn_mul_work(half));
	const u64 rest = way & 1 ? RADIX_CHUNK - 1 : 0;
	size_t count, i;
	u64 residue;
	int err;

	/* q: D - 1 or a number below D; r: 0 or D - 2, and 1 more than that. */
	memcpy(q, power, half * sizeof(*q));
	bn_sub_limb(q, half, 1);
	if (way & 4) {
		count = bn_trim(power, half) - 1;
		for (i = 0; i < count; i++)
			q[i] = any();
		q[count] = any() % power[count];
	}
	DEMAND(!bn_mul(a, q, power, half, work), "interrupted");
	if (way & 1)
		bn_add_limb(a + half, half, bn_add(a, a, power, half));
	if (way & 2)
		bn_add_limb(a, n, 1);
	if (way & 1)
		bn_sub_limb(a, n, 2);
	residue = chunks_residue(a, n, 0);
	count = bn_trim(a, n);
	memset(a + count, 0xa5, (room - count) * sizeof(*a));

	port_faults.warnings = 0;
	err = radix_chunks(a, count, digits);
	if (kind >= SMALLER) {
		DEMAND(err == -EIO && port_faults.warnings == 1,
		       "wrong inverse %d of %zu limbs gives %d", kind, half, err);
	} else {
		DEMAND(!err && !port_faults.warnings,
		       "quotient %u of %zu limbs gives %d", way, half, err);
		DEMAND(a[0] == rest - (way & 1) + (way >> 1 & 1),
		       "rest %u of %zu limbs", way, half);
		for (i = 1; i < half; i++)
			DEMAND(a[i] == rest, "rest %u of %zu limbs", way, half);
		DEMAND(chunks_residue(a, n, RADIX_CHUNK) == residue,
		       "quotient %u of %zu limbs", way, half);
	}
	free(a);
	free(q);
	free(work);
}

/* True if a conversion of twice as many chunks splits them in the middle. */
static bool is_split(size_t half)
{
	return radix_room(2 * half * RADIX_CHUNK_DIGITS) == 2 * half &&
	       2 * half >= bn_thresholds.radix_split;
}

/* With all inverses and numbers, or for long ones with those that tell most. */
#define ALL_WAYS_LIMBS	200

static void check_split(const u64 *power, size_t half)
{
	const bool all = half <= ALL_WAYS_LIMBS;
	unsigned int way;

	wrong_bit = 64 * half - bn_bits(power, half) + 6;
	alarm(WATCHDOG_S);
	for (kind = AS_IT_IS; kind <= LAST_KIND; kind++) {
		if (kind >= SMALLER) {
			/* It is noticed where the quotient is the greatest. */
			check_quotient(power, half, 1);
			continue;
		}
		for (way = 0; way < 8; way++) {
			if (all || (kind == LEAST && (way == 0 || way == 3)) ||
			    (kind == AS_IT_IS && (way == 4 || way == 7)))
				check_quotient(power, half, way);
		}
	}
	kind = AS_IT_IS;
	alarm(0);
}

/* Every length at which a conversion divides, up to so many limbs. */
void check_quotients(size_t last)
{
	u64 *power = limbs(last + 1);
	size_t half;

	memset(power, 0, (last + 1) * sizeof(*power));
	power[0] = 1;
	for (half = 1; half <= last; half++) {
		bn_mul_limb(power, power, half, RADIX_CHUNK);
		if (is_split(half))
			check_split(power, half);
	}
	port_faults.warnings = 0;
	free(power);
}
