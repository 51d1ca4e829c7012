// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Digits as text: chunks in decimal, limbs in hexadecimal.
 */
#include "radix.h"
#include "limb.h"

/* The loops call port_poll() after so many characters. */
#define POLL_CHARACTERS	65536

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
 * Eight digits at once: the number is divided into halves, these into halves,
 * and so on, all of a size side by side in one word. A division of each of them
 * is one multiplication: by 10486 / 2^20 for 1 / 100, exact below 43,699, and by
 * 103 / 2^10 for 1 / 10, exact below 179. For a quotient q by d, the remainder
 * goes into the bits above it: q + ((x - d * q) << s), in one step.
 *
 * Inline, because a sequential reader spends most of its time here: the masks
 * stay in registers from one chunk to the next.
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
