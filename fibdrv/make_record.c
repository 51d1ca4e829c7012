// SPDX-License-Identifier: GPL-2.0-only OR MIT
#include <linux/ktime.h>

#include "make_record.h"

/* This is where the bodies of the tracepoints are made. */
#define CREATE_TRACE_POINTS
#include "fibdrv_trace.h"

int make_record(struct record *record, struct record_sequence *sequence,
		size_t limit, struct fibdrv_stats *stats)
{
	u64 begun, computed;
	int err;

	trace_fibdrv_compute_begin(record->index, record->format);
	begun = ktime_get_ns();
	err = record_compute(record, sequence, limit);
	computed = ktime_get_ns();
	trace_fibdrv_compute_end(record->index, record->limbs, record->flags,
				 err);
	if (!err)
		err = record_format(record);
	*stats = (struct fibdrv_stats) {
		.index = record->index,
		.limbs = record->limbs,
		.bytes = record->size,
		.compute_ns = computed - begun,
		.format_ns = ktime_get_ns() - computed,
		.format = record->format,
		.flags = record->flags,
	};
	return err;
}
