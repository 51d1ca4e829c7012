// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * From base 2^64 to base 10^19 by multiplications alone. 10^19 nearly fills a
 * limb, so m chunks take the place of m limbs, in the same memory.
 *
 * The number is divided once, by a power D of 10 that has about half its length,
 * with an inverse of D. Then each half is multiplied by that inverse, which
 * makes it a fraction: the digits of the half are behind its point. To split a
 * fraction, it is multiplied by a power of 10. The digits that move in front of
 * the point are the upper ones, but they need not be computed: the upper limbs
 * of the fraction are a fraction for them. What stays behind the point is a
 * fraction for the lower digits. A short fraction returns one chunk after the
 * other, by multiplications by 10^19.
 *
 * The digits are exact. A fraction of m limbs for the digits v of m chunks is
 * (v + t) / 10^19m, and the digits are right for every t from 0 to 1. All errors
 * are in t, which begins near the middle. A lower half inherits it, and adds an
 * error of one unit in its last place: 2^-0.88m in terms of t, because 10^19 is
 * 2^63.12. The m >= 17 used here makes it less than 2^-14, and at most 30 of
 * them add up. For an upper half, t is the value of the lower half's fraction,
 * so it may be near 0 or 1. The lower half also tells which one, and then an
 * eighth to a quarter is added or subtracted.
 */
#include "radix.h"
#include "bn.h"
#include "bn_thresholds.h"
#include "limb.h"

/*
 * How the digits are split: into 2^levels fractions of @leaf chunks. A leaf has
 * at least 17 chunks, because radix_leaf is at least 32.
 */
struct radix_plan {
	unsigned int levels;
	size_t leaf;
};

/* (2^128 - 1) / 10^19 - 2^64, for limb_div(). */
#define CHUNK_RECIPROCAL	0xd83c94fb6d2ac34aULL

/* FIB_INDEX_MAX needs 19 with leaves of up to 32 chunks. */
#define LEVELS_MAX	20

/* Level i splits fractions by the power 10^(19 * chunks), chunks_of(plan, i). */
struct radix {
	struct radix_plan plan;
	u64 *work;
	const u64 *power[LEVELS_MAX];	/* without its lower, zero limbs */
};

static struct radix_plan plan_split(size_t chunks)
{
	struct radix_plan plan = { .leaf = chunks };

	if (chunks < bn_thresholds.radix_split)
		return plan;
	while (plan.leaf > bn_thresholds.radix_leaf) {
		plan.levels++;
		plan.leaf = ((chunks - 1) >> plan.levels) + 1;
	}
	return plan;
}

size_t radix_room(size_t digits)
{
	const struct radix_plan plan = plan_split(radix_chunk_count(digits));

	return plan.leaf << plan.levels;
}

/* The chunks of each of the two fractions that a level makes. */
static size_t chunks_of(const struct radix_plan *plan, unsigned int level)
{
	return plan->leaf << (plan->levels - 1 - level);
}

/* The lower limbs of 10^(19 * chunks) that are zero: it is a power of 5 and 2. */
static size_t zeros_of(size_t chunks)
{
	return chunks * RADIX_CHUNK_DIGITS / LIMB_BITS;
}

/* The bits of a level's power, its zero limbs included. */
static size_t power_bits(const struct radix *rx, unsigned int level)
{
	const size_t n = chunks_of(&rx->plan, level), zeros = zeros_of(n);

	return bn_bits(rx->power[level], n - zeros) + zeros * LIMB_BITS;
}

/*
 * Short numbers: divided by 10^19 again and again, that is, multiplied by its
 * inverse. Each quotient has one chunk less, so it moves up one place.
 */
static void convert_by_division(u64 *a, size_t count, size_t chunks)
{
	for (; chunks; chunks--) {
		u64 rest = 0;
		size_t i = count;

		while (i--) {
			u64 quotient = limb_div(&rest, rest, a[i], RADIX_CHUNK,
						CHUNK_RECIPROCAL);

			if (i + 1 < chunks)
				a[i + 1] = quotient;
		}
		*a++ = rest;
		if (count == chunks)
			count--;
	}
}

/* The powers, from the last level to the first, each the square of the one before. */
static int compute_powers(struct radix *rx, u64 *memory, u64 *temporary)
{
	unsigned int level = rx->plan.levels - 1;
	size_t chunks = rx->plan.leaf, zeros = zeros_of(chunks), below = zeros;
	size_t i;
	int err;

	temporary[0] = 1;
	memset(temporary + 1, 0, (chunks - 1) * sizeof(*temporary));
	for (i = 0; i < chunks; i++)
		bn_mul_limb(temporary, temporary, chunks, RADIX_CHUNK);

	for (;;) {
		const size_t count = chunks - zeros;

		memcpy(memory, temporary + below, count * sizeof(*memory));
		rx->power[level] = memory;
		if (!level--)
			return 0;
		err = bn_square(temporary, memory, count, rx->work);
		if (err)
			return err;
		memory += count;
		chunks *= 2;
		/* The square may have one zero limb more than both factors. */
		below = zeros_of(chunks) - 2 * zeros;
		zeros = zeros_of(chunks);
	}
}

/*
 * The most by which a quotient is too small: less than 2 for the lower bits of
 * the dividend, less than 1 for those of the product, and less than 2^-28 for
 * the inverse. That may be 4 too small, but the dividend leaves free its upper
 * bits as D does, more than 30 of them.
 */
#define QUOTIENT_ERROR_MAX	3

/*
 * Subtract @power from the rest while it is not smaller, and count that in the
 * quotient; rest and power have n limbs. A rest that takes more than
 * mathematics allows, or that is negative, which looks like a huge one, is an
 * error, not a loop of 2^31 turns that no signal ends.
 */
static int correct_quotient(u64 *rest, const u64 *power, size_t n,
			    u64 *quotient, size_t quotient_n)
{
	unsigned int i;

	for (i = 0; bn_compare(rest, power, n) >= 0; i++) {
		if (WARN_ON_ONCE(i == QUOTIENT_ERROR_MAX))
			return -EIO;
		bn_sub(rest, rest, power, n);
		bn_add_limb(quotient, quotient_n, 1);
	}
	return 0;
}

/* From a number in 2 * n limbs to two fractions of n limbs: the one division. */
static int divide_number(struct radix *rx, u64 *a)
{
	const size_t n = chunks_of(&rx->plan, 0), zeros = zeros_of(n);
	const size_t bits = power_bits(rx, 0), shift = n * LIMB_BITS - bits;
	const u64 *power = rx->power[0];
	u64 *inverse = rx->work, *x = inverse + n, *product = x + n;
	u64 *rest = product + 2 * n;
	size_t half;
	int err;

	bn_shift_up(x, n, power, n - zeros, shift + zeros * LIMB_BITS);
	err = bn_inverse(inverse, x, n, product);
	if (err)
		return err;

	bn_shift_down(x, n, a, 2 * n, bits);
	err = bn_mul(product, x, inverse, n, rest);
	if (err)
		return err;
	/* The quotient replaces the upper half, and the rest the lower one. */
	bn_add(a + n, x, product + n, n);
	err = bn_mul(product, a + n, power, n - zeros, rest);
	if (err)
		return err;
	bn_sub(a + zeros, a + zeros, product, n - zeros);
	err = correct_quotient(a + zeros, power, n - zeros, a + n, n);
	if (err)
		return err;

	/* A quarter to a half of the last digit's unit is added to both. */
	for (half = 0; half < 2 * n; half += n) {
		bn_shift_up(x, n, a + half, n, shift);
		err = bn_mul(product, x, inverse, n, rest);
		if (err)
			return err;
		bn_add(a + half, x, product + n, n);
		bn_add_bit(a + half, n, shift - 1);
	}
	return 0;
}

/* The digits of a fraction of rx->plan.leaf limbs, in place. */
static void convert_leaf(const struct radix *rx, u64 *a)
{
	size_t count = rx->plan.leaf, chunks = count;
	u64 *y = rx->work;

	memcpy(y, a, count * sizeof(*y));
	while (chunks--) {
		a[chunks] = bn_mul_limb(y, y, count, RADIX_CHUNK);
		/* One limb more than there are chunks left is enough. */
		if (count > chunks + 1) {
			y++;
			count--;
		}
	}
}

/*
 * The digits of a fraction, in place. Its two halves are in its own upper half
 * and at the beginning of @spare.
 */
static int convert_fraction(const struct radix *rx, unsigned int level, u64 *a,
			    u64 *spare)
{
	size_t n, zeros, bit;
	int err;

	if (level == rx->plan.levels) {
		convert_leaf(rx, a);
		return 0;
	}
	n = chunks_of(&rx->plan, level);
	zeros = zeros_of(n);
	err = bn_middle(spare, a, 2 * n - zeros, rx->power[level], n - zeros,
			rx->work);
	if (err)
		return err;

	/* An eighth to a quarter of the upper half's last unit. */
	bit = n * LIMB_BITS - power_bits(rx, level) - 2;
	if (spare[n - 1] >> (LIMB_BITS - 1))
		bn_sub_bit(a + n, n, bit);
	else
		bn_add_bit(a + n, n, bit);

	err = convert_fraction(rx, level + 1, a + n, spare + n);
	if (!err)
		err = convert_fraction(rx, level + 1, spare, spare + n);
	memcpy(a, spare, n * sizeof(*a));
	return err;
}

/* Words of memory: the powers, and after them the most that one step takes. */
static size_t memory_for(const struct radix_plan *plan, size_t *powers)
{
	const size_t first = chunks_of(plan, 0);
	size_t divide = 4 * first + bn_mul_work(first);
	size_t inverse = 2 * first + bn_inverse_work(first);
	size_t step = 0;
	unsigned int level;

	*powers = first - zeros_of(first);
	for (level = 1; level < plan->levels; level++) {
		const size_t n = chunks_of(plan, level), zeros = zeros_of(n);
		size_t middle = bn_middle_work(2 * n - zeros, n - zeros);

		*powers += n - zeros;
		step = middle > step ? middle : step;
	}
	step += first + plan->leaf;
	step = divide > step ? divide : step;
	step = inverse > step ? inverse : step;
	return *powers + step;
}

int radix_chunks(u64 *limb, size_t count, size_t digits)
{
	const size_t chunks = radix_chunk_count(digits);
	struct radix rx = { .plan = plan_split(chunks) };
	u64 *memory, *spare;
	size_t n, powers;
	int err;

	if (WARN_ON_ONCE(count > chunks || rx.plan.levels > LEVELS_MAX))
		return -EIO;
	if (!rx.plan.levels) {
		convert_by_division(limb, count, chunks);
		return 0;
	}
	memory = port_alloc(memory_for(&rx.plan, &powers), sizeof(*memory));
	if (!memory)
		return -ENOMEM;
	spare = memory + powers;

	n = chunks_of(&rx.plan, 0);
	memset(limb + count, 0, (2 * n - count) * sizeof(*limb));
	rx.work = spare + n;
	err = compute_powers(&rx, memory, spare);
	rx.work = spare;
	if (!err)
		err = divide_number(&rx, limb);
	/* The lower halves of all levels together are as long as a half. */
	rx.work = spare + n;
	if (!err)
		err = convert_fraction(&rx, 1, limb, spare);
	if (!err)
		err = convert_fraction(&rx, 1, limb + n, spare);
	port_free(memory);
	return err;
}
