// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * From base 2^64 to base 10^19 by multiplications alone. 10^19 nearly fills a
 * limb, so m chunks take the place of m limbs, and the same memory serves both.
 *
 * The number x is divided once, by a power D of 10 about as long as half of it,
 * with the help of D's inverse. Then each half is multiplied by that inverse,
 * which makes it a fraction y: the half's digits are behind its point. A fraction
 * is split by multiplying it with a power of 10. What gets in front of the point
 * are the upper digits, but they need not be computed, since the fraction's
 * upper limbs will do for them; what stays behind it is a fraction for the
 * lower digits. A short fraction gives one chunk after the other, by
 * multiplications with 10^19.
 *
 * The digits are exact. A fraction of m limbs for the digits v of m chunks is
 * (v + t) / 10^19m, where t is some number between 0 and 1, in which the errors
 * are. It begins near the middle. A lower half inherits it; the error of
 * its own is a unit of its last place, 2^-0.88m in terms of t, as 10^19 is
 * 2^63.12. With the m >= 17 used here that is less than 2^-14, and at most 30
 * of them come together. For an upper half, t is what the lower half's fraction
 * says, so it may be near 0 or 1. But the lower half tells to which of them,
 * and a quarter to an eighth is added or taken away, to be safe on both sides.
 */
#include "radix.h"
#include "bn.h"
#include "bn_thresholds.h"
#include "limb.h"

/* A text looks for a fatal signal every so many characters. */
#define POLL_CHARACTERS	65536

/*
 * How the digits are split: into 2^levels fractions of @leaf chunks. A leaf has
 * 17 chunks at least, as no radix_leaf is below 32.
 */
struct radix_plan {
	unsigned int levels;
	size_t leaf;
};

/* (2^128 - 1) / 10^19 - 2^64, for limb_div(). */
#define CHUNK_RECIPROCAL	0xd83c94fb6d2ac34aULL

/* More than FIB_INDEX_MAX needs: 2^20 leaves. */
#define LEVELS_MAX	20

/*
 * Level i splits fractions by the power 10^(19 * chunks(i)). Its lower limbs are
 * zero, and left out.
 */
struct radix {
	struct radix_plan plan;
	u64 *work;
	const u64 *power[LEVELS_MAX];
	size_t bits[LEVELS_MAX];	/* of the power, as if it were whole */
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

/* The chunks of a fraction that level i makes, and the places of its limbs. */
static size_t chunks_of(const struct radix_plan *plan, unsigned int level)
{
	return plan->leaf << (plan->levels - 1 - level);
}

/* 10^(19 * chunks) is 5^(19 * chunks) * 2^(19 * chunks). */
static size_t zeros_of(size_t chunks)
{
	return chunks * RADIX_CHUNK_DIGITS / LIMB_BITS;
}

/*
 * Short numbers: divided by 10^19 again and again, that is, multiplied by its
 * inverse. A quotient has a chunk less to come, so it moves up one place.
 */
static void divide_out(u64 *a, size_t count, size_t chunks)
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

/* The powers, from the last one on, each the square of the one before. */
static int fill_powers(struct radix *rx, u64 *memory, u64 *temporary)
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
		rx->bits[level] = bn_bits(memory, count) + zeros * LIMB_BITS;
		if (!level--)
			return 0;
		err = bn_square(temporary, memory, count, rx->work);
		if (err)
			return err;
		memory += count;
		chunks *= 2;
		/* There may be one zero limb more than in both factors. */
		below = zeros_of(chunks) - 2 * zeros;
		zeros = zeros_of(chunks);
	}
}

/*
 * From a number in 2 * n limbs to two fractions: the first division. The power's
 * inverse is less than the exact one, by less than 3, which makes the quotient
 * at most 6 too small.
 */
static int split_number(struct radix *rx, u64 *a)
{
	const size_t n = chunks_of(&rx->plan, 0), zeros = zeros_of(n);
	const size_t bits = rx->bits[0], shift = n * LIMB_BITS - bits;
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
	bn_add(a + n, x, product + n, n);
	err = bn_mul(product, a + n, power, n - zeros, rest);
	if (err)
		return err;
	bn_sub(a + zeros, a + zeros, product, n - zeros);
	while (bn_compare(a + zeros, power, n - zeros) >= 0) {
		bn_sub(a + zeros, a + zeros, power, n - zeros);
		bn_add_limb(a + n, n, 1);
	}

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
		/* A limb more than there are chunks to come is enough. */
		if (count > chunks + 1) {
			y++;
			count--;
		}
	}
}

/*
 * The digits of a fraction, in place: what level i splits it into takes its
 * upper half, and the beginning of @spare.
 */
static int convert(const struct radix *rx, unsigned int level, u64 *a,
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
	bit = n * LIMB_BITS - rx->bits[level] - 2;
	if (spare[n - 1] >> (LIMB_BITS - 1))
		bn_sub_bit(a + n, n, bit);
	else
		bn_add_bit(a + n, n, bit);

	err = convert(rx, level + 1, a + n, spare + n);
	if (!err)
		err = convert(rx, level + 1, spare, spare + n);
	memcpy(a, spare, n * sizeof(*a));
	return err;
}

/* Words of memory: the powers, and behind them the most that one step takes. */
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
	size_t n, powers;
	u64 *memory;
	int err;

	if (!rx.plan.levels) {
		divide_out(limb, count, chunks);
		return 0;
	}
	memory = port_alloc(memory_for(&rx.plan, &powers), sizeof(*memory));
	if (!memory)
		return -ENOMEM;

	n = chunks_of(&rx.plan, 0);
	memset(limb + count, 0, (2 * n - count) * sizeof(*limb));
	rx.work = memory + powers + n;
	err = fill_powers(&rx, memory, memory + powers);
	rx.work = memory + powers;
	if (!err)
		err = split_number(&rx, limb);
	/* The lower halves' own space, which is as much as a half. */
	rx.work += n;
	if (!err)
		err = convert(&rx, 1, limb, memory + powers);
	if (!err)
		err = convert(&rx, 1, limb + n, memory + powers);
	port_free(memory);
	return err;
}

/* The characters "00" to "99", the first one in the lower byte. */
static const u16 two_digits[100] = {
	0x3030, 0x3130, 0x3230, 0x3330, 0x3430, 0x3530, 0x3630, 0x3730,
	0x3830, 0x3930, 0x3031, 0x3131, 0x3231, 0x3331, 0x3431, 0x3531,
	0x3631, 0x3731, 0x3831, 0x3931, 0x3032, 0x3132, 0x3232, 0x3332,
	0x3432, 0x3532, 0x3632, 0x3732, 0x3832, 0x3932, 0x3033, 0x3133,
	0x3233, 0x3333, 0x3433, 0x3533, 0x3633, 0x3733, 0x3833, 0x3933,
	0x3034, 0x3134, 0x3234, 0x3334, 0x3434, 0x3534, 0x3634, 0x3734,
	0x3834, 0x3934, 0x3035, 0x3135, 0x3235, 0x3335, 0x3435, 0x3535,
	0x3635, 0x3735, 0x3835, 0x3935, 0x3036, 0x3136, 0x3236, 0x3336,
	0x3436, 0x3536, 0x3636, 0x3736, 0x3836, 0x3936, 0x3037, 0x3137,
	0x3237, 0x3337, 0x3437, 0x3537, 0x3637, 0x3737, 0x3837, 0x3937,
	0x3038, 0x3138, 0x3238, 0x3338, 0x3438, 0x3538, 0x3638, 0x3738,
	0x3838, 0x3938, 0x3039, 0x3139, 0x3239, 0x3339, 0x3439, 0x3539,
	0x3639, 0x3739, 0x3839, 0x3939,
};

/*
 * Eight digits at once: the number is cut into halves, these into halves, and
 * so on, all of a size side by side in one word. A division of each of them is
 * one multiplication: by 10486 / 2^20 for 1 / 100, exact below 43,699, and by
 * 103 / 2^10 for 1 / 10, exact below 179. Where q is the quotient by d, the
 * remainder goes beside it, above: q + ((x - d * q) << s) in one step.
 *
 * Inline, since this is most of what a reader that reads on waits for: the
 * masks stay in registers from one chunk to the next.
 */
static __always_inline void write_eight(char *text, u64 value)
{
	const u64 four = value * 109951163 >> 40;
	const u64 fours = (value << 32) - four * ((10000ULL << 32) - 1);
	const u64 two = fours * 10486 >> 20 & 0x0000007f0000007fULL;
	const u64 twos = (fours << 16) - two * ((100ULL << 16) - 1);
	const u64 one = twos * 103 >> 10 & 0x000f000f000f000fULL;
	const u64 ones = (twos << 8) - one * ((10ULL << 8) - 1);
	/* The first digit is in the lowest byte, which comes first in memory. */
	const u64 digits = ones + 0x3030303030303030ULL;

	memcpy(text, &digits, sizeof(digits));
}

static __always_inline void write_chunk(char *text, u64 chunk)
{
	const u64 upper = chunk / 100000000;
	const u64 top = upper / 100000000;
	/* 41 / 2^12 for 1 / 100, exact below 1,099. */
	const u32 hundreds = (u32)top * 41 >> 12;

	text[0] = (char)('0' + hundreds);
	memcpy(text + 1, &two_digits[(u32)top - hundreds * 100], 2);
	write_eight(text + 3, upper - top * 100000000);
	write_eight(text + 11, chunk - upper * 100000000);
}

int radix_decimal(char *text, size_t digits, const u64 *chunk)
{
	size_t left = digits;
	char first[RADIX_CHUNK_DIGITS];

	while (left > RADIX_CHUNK_DIGITS) {
		left -= RADIX_CHUNK_DIGITS;
		write_chunk(text + left, *chunk++);
		if (left % POLL_CHARACTERS < RADIX_CHUNK_DIGITS && port_poll())
			return -EINTR;
	}
	write_chunk(first, *chunk);
	memcpy(text, first + RADIX_CHUNK_DIGITS - left, left);
	return 0;
}

int radix_hex(char *text, size_t digits, const u64 *limb, size_t count)
{
	static const char hex[] = "0123456789abcdef";
	const size_t per_limb = LIMB_BITS / 4;
	size_t i;

	for (i = 0; i < digits; i++) {
		size_t at = i / per_limb;
		u64 value = at < count ? limb[at] : 0;

		text[digits - 1 - i] = hex[value >> (i % per_limb * 4) & 0xf];
		if (i % POLL_CHARACTERS == 0 && port_poll())
			return -EINTR;
	}
	return 0;
}
