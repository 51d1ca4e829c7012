/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Numbers as text and as bytes. Every function demands the exact length, which
 * for a Fibonacci number is known beforehand: see fib_digits() and fib_bits().
 */
#ifndef FIBDRV_RADIX_H
#define FIBDRV_RADIX_H

#include "port.h"

/**
 * radix_decimal() - Write a number in decimal.
 * @text: where @digits characters go; no terminator is added.
 * @digits: at least as many as the number has, and at least 1. Spare ones
 *	become leading zeros.
 * @limb: the number; it is left as it is.
 * @count: how many limbs it has.
 *
 * Return: 0, -ENOMEM, or -EINTR when port_poll() asked to give up.
 */
int radix_decimal(char *text, size_t digits, const u64 *limb, size_t count);

/* The same in lower-case hexadecimal, which neither allocates nor fails. */
void radix_hex(char *text, size_t digits, const u64 *limb, size_t count);

#endif /* FIBDRV_RADIX_H */
