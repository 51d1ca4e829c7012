/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Numbers as text. Every function requires the exact length, which for a
 * Fibonacci number is known beforehand: see fib_digits() and fib_bits().
 *
 * Decimal text is made in two steps, since a number and its text together take
 * less memory than the conversion: first the number's limbs become chunks, its
 * digits in base 10^19, in place (radix.c); then these are written as text
 * (radix_text.c).
 */
#ifndef FIBDRV_RADIX_H
#define FIBDRV_RADIX_H

#include "port.h"

/* The decimal digits of a chunk: 10^19 is the greatest power of 10 in a limb. */
#define RADIX_CHUNK_DIGITS	19
#define RADIX_CHUNK		10000000000000000000ULL

/* The number of chunks for so many digits. */
static inline size_t radix_chunk_count(size_t digits)
{
	return (digits + RADIX_CHUNK_DIGITS - 1) / RADIX_CHUNK_DIGITS;
}

/*
 * The words that radix_chunks() needs for so many digits: the number of chunks,
 * or up to a sixteenth more.
 */
size_t radix_room(size_t digits);

/**
 * radix_chunks() - Convert a number from base 2^64 to base 10^19, in place.
 * @limb: the number, least significant limb first, in an array of
 *	radix_room(@digits) words; the chunks, least significant first, on
 *	success, and rubbish on failure. Zeros follow the last chunk.
 * @count: its limbs, at least 1 and at most the number of chunks.
 * @digits: at least as many as the number has, and at least 1. Others become
 *	leading zeros.
 *
 * Return: 0, -ENOMEM, -EINTR if port_poll() requested it, or -EIO with a warning
 * if a length or a quotient is impossible.
 */
int radix_chunks(u64 *limb, size_t count, size_t digits);

/**
 * radix_decimal() - Write chunks in decimal.
 * @text: where @digits characters go; no terminator is added.
 * @digits: the value that radix_chunks() got.
 * @chunk: the chunks.
 *
 * Return: 0, or -EINTR if port_poll() requested it.
 */
int radix_decimal(char *text, size_t digits, const u64 *chunk);

/**
 * radix_hex() - Write limbs in lower-case hexadecimal.
 * @text: where @digits characters go; no terminator is added.
 * @digits: at least as many as the number has.
 * @limb: the number, least significant limb first.
 * @count: its limbs.
 *
 * Return: 0, or -EINTR if port_poll() requested it.
 */
int radix_hex(char *text, size_t digits, const u64 *limb, size_t count);

#endif /* FIBDRV_RADIX_H */
