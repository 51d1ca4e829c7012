// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * From an index to the bytes that a reader gets, and what is kept for a reader
 * that goes on to the next index.
 *
 * A number is computed as a whole until two neighbours were read: who reads
 * here and there pays nothing for those who read on. Then the pair of them is
 * kept, in the base that the format is written in, so that neither the number
 * nor its conversion is done anew.
 */
#include "record.h"
#include "radix.h"

#define BITS_PER_LIMB	64
#define BITS_PER_HEX	4
#define BITS_PER_BYTE	8

static u64 units(u64 n, unsigned int bits_per_unit)
{
	u64 bits = fib_bits(n);

	/* F(0) is one zero. A power of two, so nothing divides by it. */
	if (!bits)
		bits = 1;
	return (bits + bits_per_unit - 1) / bits_per_unit;
}

size_t record_size(u64 n, u32 format)
{
	switch (format) {
	case FIBDRV_FORMAT_HEX:
		return units(n, BITS_PER_HEX) + 1;
	case FIBDRV_FORMAT_BINARY:
		return units(n, BITS_PER_BYTE);
	default:
		return fib_digits(n) + 1;
	}
}

/* Have the sequence stand at n, if it is one and may; else leave it. */
static int go_on(struct record *record, struct record_sequence *sequence,
		 size_t limit)
{
	const u64 n = record->index;
	const enum fib_base base = record->format == FIBDRV_FORMAT_DECIMAL ?
				   FIB_CHUNKS : FIB_LIMBS;
	struct fib_pair *pair = &sequence->pair;
	int err;

	/* F(0) has no number before it. */
	if (!n || fib_pair_bytes(n, base) > limit) {
		fib_pair_free(pair);
		return 0;
	}
	if (pair->memory && pair->base == base && pair->index == n) {
		record->flags = FIBDRV_STATS_KEPT;
		record->pair = pair;
		return 0;
	}
	if (pair->memory && pair->base == base && pair->index + 1 == n) {
		err = fib_pair_next(pair);
		if (err)
			return err;
		record->flags = FIBDRV_STATS_SUM;
		record->pair = pair;
		return 0;
	}
	if (n != sequence->expected)
		return 0;
	err = fib_pair_start(pair, n, base);
	if (err)
		return err;
	record->pair = pair;
	return 0;
}

int record_compute(struct record *record, struct record_sequence *sequence,
		   size_t limit)
{
	int err;

	record->size = record_size(record->index, record->format);
	record->limbs = units(record->index, BITS_PER_LIMB);
	if (sequence) {
		err = go_on(record, sequence, limit);
		if (err)
			return err;
		sequence->expected = record->index + 1;
	}
	if (record->pair)
		return 0;
	return fib_compute(&record->number, record->index);
}

int record_format(struct record *record)
{
	u64 *word = record->pair ? record->pair->now : record->number.limb;
	const size_t digits = record->size - 1;
	int err = 0;

	if (record->format == FIBDRV_FORMAT_BINARY) {
		/* Little-endian limbs are the record, but for their padding. */
		record->bytes = word;
		return 0;
	}

	/* A pair is in chunks already. */
	if (record->format == FIBDRV_FORMAT_DECIMAL && !record->pair)
		err = radix_chunks(word, record->number.count, digits);
	if (err)
		return err;
	record->text = port_alloc(record->size, 1);
	if (!record->text)
		return -ENOMEM;
	if (record->format == FIBDRV_FORMAT_DECIMAL)
		err = radix_decimal(record->text, digits, word);
	else
		err = radix_hex(record->text, digits, word, record->limbs);
	if (err)
		return err;
	record->text[digits] = '\n';
	record->bytes = record->text;

	/* It is held twice for no longer than that. */
	port_free(record->number.limb);
	record->number.limb = NULL;
	return 0;
}

void record_free(struct record *record)
{
	port_free(record->number.limb);
	port_free(record->text);
	record->number.limb = NULL;
	record->text = NULL;
}
