// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * From an index to the bytes that a reader gets, and what is kept for a reader
 * that continues with the next index.
 *
 * A number is computed as a whole until two neighbours were read, so random
 * reads pay nothing for sequential ones. From then on the pair of neighbours is
 * kept in the base of the format: neither the next number nor its digits are
 * computed from the beginning.
 */
#include "record.h"
#include "fib.h"
#include "fib_pair.h"
#include "radix.h"

#define BITS_PER_HEX	4
#define BITS_PER_BYTE	8

static size_t units(u64 n, unsigned int bits_per_unit)
{
	u64 bits = fib_bits(n);

	/* F(0) is one zero. */
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

static void forget_pair(struct record_sequence *sequence)
{
	port_free(sequence->pair);
	sequence->pair = NULL;
	sequence->bytes = 0;
}

/*
 * Move the sequence's pair to F(n), or compute a pair if n follows the index
 * before. record->word stays NULL if neither applies, or without the memory.
 */
static int compute_by_pair(struct record *record,
			   struct record_sequence *sequence, size_t limit)
{
	const u64 n = record->index;
	const enum fib_base base = record->format == FIBDRV_FORMAT_DECIMAL ?
				   FIB_CHUNKS : FIB_LIMBS;
	bool has_pair;
	int err = 0;

	/* F(0) has no number before it. */
	if (!n || fib_pair_bytes(n, base) > limit || sequence->bytes > limit) {
		forget_pair(sequence);
		return 0;
	}
	has_pair = sequence->pair && sequence->pair->base == base;
	if (has_pair && sequence->pair->index == n) {
		record->flags = FIBDRV_STATS_KEPT;
	} else if (has_pair && sequence->pair->index + 1 == n) {
		record->flags = FIBDRV_STATS_SUM;
		err = fib_pair_next(&sequence->pair);
	} else if (sequence->expected == n) {
		forget_pair(sequence);
		err = fib_pair_compute(&sequence->pair, n, base);
	} else {
		return 0;
	}
	if (err) {
		record->flags = 0;
		forget_pair(sequence);
		return err == -ENOMEM ? 0 : err;
	}
	sequence->bytes = sequence->pair->bytes;
	record->word = sequence->pair->now;
	return 0;
}

int record_compute(struct record *record, struct record_sequence *sequence,
		   size_t limit)
{
	int err;

	record->size = record_size(record->index, record->format);
	record->limbs = fib_limbs(record->index);
	if (sequence) {
		err = compute_by_pair(record, sequence, limit);
		if (err)
			return err;
		sequence->expected = record->index + 1;
		if (record->word)
			return 0;
	}
	err = fib_compute(&record->number, record->index);
	record->word = record->number;
	return err;
}

int record_format(struct record *record)
{
	const size_t digits = record->size - 1;
	int err = 0;

	if (record->format == FIBDRV_FORMAT_BINARY) {
		/* The record is the little-endian limbs without their padding. */
		record->bytes = record->word;
		return 0;
	}

	/* A pair consists of chunks already. */
	if (record->format == FIBDRV_FORMAT_DECIMAL && record->number)
		err = radix_chunks(record->number, record->limbs, digits);
	if (err)
		return err;
	record->text = port_alloc(record->size, 1);
	if (!record->text)
		return -ENOMEM;
	if (record->format == FIBDRV_FORMAT_DECIMAL)
		err = radix_decimal(record->text, digits, record->word);
	else
		err = radix_hex(record->text, digits, record->word,
				record->limbs);
	if (err)
		return err;
	record->text[digits] = '\n';
	record->bytes = record->text;

	/* From here on the text is enough. */
	port_free(record->number);
	record->number = NULL;
	return 0;
}

void record_free(struct record *record, struct record_sequence *sequence)
{
	if (record) {
		port_free(record->number);
		port_free(record->text);
		record->number = NULL;
		record->text = NULL;
	}
	if (sequence)
		forget_pair(sequence);
}
