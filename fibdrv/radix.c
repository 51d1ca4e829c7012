// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Decimal text by divide and conquer: a number is split by a power of 10^19
 * into two of half its length, and so on, until it is short enough to be taken
 * apart limb by limb.
 *
 * Level i splits by 10^(19 * 2^i). As 10^19 just fills a limb (63.1 bits), that
 * power fits 2^i limbs, and is stored shifted left until it fills them: ready
 * for bn_div(), which wants just this.
 */
#include "radix.h"
#include "bn.h"
#include "limb.h"

/* The greatest power of 10 in a limb. Its top bit is set, as it happens. */
#define CHUNK_DIGITS	19
#define CHUNK		10000000000000000000ULL

/* Below this level (2^LEAF_LEVEL limbs) a number is taken apart limb by limb. */
#define LEAF_LEVEL	5

/* More than FIB_INDEX_MAX needs: 2^28 limbs. */
#define LEVELS_MAX	28

struct radix {
	u64 chunk_reciprocal;
	u64 *quotient;			/* of the topmost division */
	u64 *work;
	const u64 *power[LEVELS_MAX];	/* 10^(19 * 2^i) * 2^shift[i] */
	size_t shift[LEVELS_MAX];
};

static void write_chunk(char *text, size_t digits, u64 value)
{
	while (digits--) {
		text[digits] = (char)('0' + value % 10);
		value /= 10;
	}
}

/* From the right, a chunk of digits at a time; destroys the number. */
static void convert_leaf(const struct radix *rx, char *text, size_t digits,
			 u64 *a, size_t n)
{
	while (digits) {
		size_t part = digits < CHUNK_DIGITS ? digits : CHUNK_DIGITS;

		n = bn_trim(a, n);
		digits -= part;
		write_chunk(text + digits, part,
			    bn_div_limb(a, n, CHUNK, rx->chunk_reciprocal));
	}
}

/* A number below 10^digits in 2^(level + 1) limbs; destroys it. */
static int convert(const struct radix *rx, int level, char *text, size_t digits,
		   u64 *a)
{
	const size_t n = (size_t)1 << level, low = CHUNK_DIGITS * n;
	int err;

	if (level < LEAF_LEVEL) {
		convert_leaf(rx, text, digits, a, 2 * n);
		return 0;
	}
	if (digits <= low)
		return convert(rx, level - 1, text, digits, a);

	bn_shift_left(a, 2 * n, rx->shift[level]);
	err = bn_div(rx->quotient, a, rx->power[level], n, rx->work);
	if (err)
		return err;
	bn_shift_right(a, n, rx->shift[level]);
	memcpy(a + n, rx->quotient, n * sizeof(*a));

	err = convert(rx, level - 1, text, digits - low, a + n);
	if (!err)
		err = convert(rx, level - 1, text + digits - low, low, a);
	return err;
}

/* The powers up to @level, each the square of the one before. */
static int fill_powers(struct radix *rx, int level, u64 *memory)
{
	int i, err;

	memory[0] = CHUNK;
	for (i = 0; i <= level; i++) {
		const size_t n = (size_t)1 << i;

		rx->power[i] = memory;
		if (i == level)
			break;
		err = bn_square(memory + n, memory, n, rx->work);
		if (err)
			return err;
		rx->shift[i + 1] = 2 * rx->shift[i];
		memory += n;
		/* The square of a number with its top bit set may lack it. */
		if (!(memory[2 * n - 1] >> (LIMB_BITS - 1))) {
			bn_double(memory, memory, 2 * n, 1);
			rx->shift[i + 1]++;
		}
	}
	return 0;
}

int radix_decimal(char *text, size_t digits, const u64 *limb, size_t count)
{
	struct radix rx = { .chunk_reciprocal = limb_reciprocal(CHUNK) };
	size_t n, total;
	int level = 0;
	u64 *a;
	int err;

	/* The lowest level whose power, squared, is beyond the number. */
	while (digits > (size_t)2 * CHUNK_DIGITS << level)
		level++;
	if (level >= LEVELS_MAX)
		return -ENOMEM;
	n = (size_t)1 << level;
	if (level < LEAF_LEVEL)
		total = 2 * n;
	else
		total = 2 * n + 2 * n + n + bn_div_work(n);

	a = port_alloc(total, sizeof(*a));
	if (!a)
		return -ENOMEM;
	memcpy(a, limb, count * sizeof(*a));
	memset(a + count, 0, (2 * n - count) * sizeof(*a));

	if (level < LEAF_LEVEL) {
		convert_leaf(&rx, text, digits, a, count);
		err = 0;
	} else {
		rx.quotient = a + 4 * n;
		rx.work = rx.quotient + n;
		err = fill_powers(&rx, level, a + 2 * n);
		if (!err)
			err = convert(&rx, level, text, digits, a);
	}
	port_free(a);
	return err;
}

void radix_hex(char *text, size_t digits, const u64 *limb, size_t count)
{
	static const char hex[] = "0123456789abcdef";
	const size_t per_limb = LIMB_BITS / 4;
	size_t i;

	for (i = 0; i < digits; i++) {
		size_t at = i / per_limb;
		u64 value = at < count ? limb[at] : 0;

		text[digits - 1 - i] = hex[value >> (i % per_limb * 4) & 0xf];
	}
}
