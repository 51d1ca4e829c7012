/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* One record, computed and formatted: traced, and timed for FIBDRV_IOC_STATS. */
#ifndef FIBDRV_MAKE_RECORD_H
#define FIBDRV_MAKE_RECORD_H

#include "arith/record.h"
#include "uapi/fibdrv.h"

/**
 * make_record() - Compute and format a record, between the tracepoints.
 * @record: its index is checked; record_free() frees it, also after a failure.
 * @sequence: the file's, or NULL: see record_compute().
 * @limit: the bytes that the sequence may go on to hold.
 * @stats: what it was and cost, but for the copying.
 *
 * Return: 0, -ENOMEM, or -EINTR when port_poll() asked to give up.
 */
int make_record(struct record *record, struct record_sequence *sequence,
		size_t limit, struct fibdrv_stats *stats);

#endif /* FIBDRV_MAKE_RECORD_H */
