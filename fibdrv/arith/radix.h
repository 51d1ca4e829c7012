/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Numbers as text and as bytes. Every function demands the exact length, which
 * for a Fibonacci number is known beforehand: see fib_digits() and fib_bits().
 *
 * Decimal text is made in two steps, since a number and its text together take
 * less memory than the conversion's own: first the number's limbs become
 * chunks, its digits in base 10^19, in place; then these are written out.
 */
#ifndef FIBDRV_RADIX_H
#define FIBDRV_RADIX_H

#include "port.h"

/* The decimal digits of a chunk: 10^19 is the greatest power of 10 in a limb. */
#define RADIX_CHUNK_DIGITS	19
#define RADIX_CHUNK		10000000000000000000ULL

/* How many chunks so many digits take. */
static inline size_t radix_chunk_count(size_t digits)
{
	return (digits + RADIX_CHUNK_DIGITS - 1) / RADIX_CHUNK_DIGITS;
}

/*
 * How many words the conversion of so many digits needs: as many as chunks, or
 * up to a sixteenth more.
 */
size_t radix_room(size_t digits);

/**
 * radix_chunks() - Turn a number from base 2^64 to base 10^19, in place.
 * @limb: the number, least significant limb first, in an array of
 *	radix_room(@digits) words; the chunks, least significant first, on
 *	success, and rubbish on failure. Behind the last one are zeros.
 * @count: how many limbs it has, at least 1 and no more than chunks.
 * @digits: at least as many as the number has, and at least 1. Spare ones
 *	become leading zeros.
 *
 * Return: 0, -ENOMEM, or -EINTR when port_poll() asked to give up.
 */
int radix_chunks(u64 *limb, size_t count, size_t digits);

/**
 * radix_decimal() - Write chunks in decimal.
 * @text: where @digits characters go; no terminator is added.
 * @digits: as many as were asked of radix_chunks().
 * @chunk: the chunks.
 *
 * Return: 0, or -EINTR when port_poll() asked to give up.
 */
int radix_decimal(char *text, size_t digits, const u64 *chunk);

/* The same in lower-case hexadecimal, directly from limbs. */
int radix_hex(char *text, size_t digits, const u64 *limb, size_t count);

#endif /* FIBDRV_RADIX_H */
