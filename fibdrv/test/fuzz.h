/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What the fuzzers share: their input, eaten bit by bit. */
#ifndef FIBDRV_TEST_FUZZ_H
#define FIBDRV_TEST_FUZZ_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fuzz_input {
	const unsigned char *data;
	size_t size;
};

/* A number of so many bytes; zeros when the input is used up. */
static inline unsigned long long fuzz_take(struct fuzz_input *input, size_t bytes)
{
	unsigned long long value = 0;
	size_t count = bytes < input->size ? bytes : input->size;

	memcpy(&value, input->data, count);
	input->data += count;
	input->size -= count;
	return value;
}

#define FUZZ_DEMAND(condition)						\
	do {								\
		if (!(condition)) {					\
			fprintf(stderr, "%s:%d: not %s\n", __FILE__,	\
				__LINE__, #condition);			\
			abort();					\
		}							\
	} while (0)

/* libFuzzer has a name of its own for it, which the Makefile puts here. */
int fuzz_one(const unsigned char *data, size_t size);

#endif /* FIBDRV_TEST_FUZZ_H */
