/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Tracepoints around the computation of a number:
 *
 *	echo 1 >/sys/kernel/tracing/events/fibdrv/enable
 *
 * compute_begin comes before anything is computed, compute_end after, whether
 * or not it succeeded. A number that a file still has is traced as well.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM fibdrv

#if !defined(FIBDRV_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define FIBDRV_TRACE_H

#include <linux/tracepoint.h>
#include <linux/types.h>

TRACE_EVENT(fibdrv_compute_begin,
	    TP_PROTO(u64 index, u32 format),
	    TP_ARGS(index, format),
	    TP_STRUCT__entry(__field(u64, index)
			     __field(u32, format)),
	    TP_fast_assign(__entry->index = index;
			   __entry->format = format;),
	    TP_printk("index=%llu format=%u",
		      __entry->index, __entry->format)
);

TRACE_EVENT(fibdrv_compute_end,
	    TP_PROTO(u64 index, u64 limbs, u32 flags, int error),
	    TP_ARGS(index, limbs, flags, error),
	    TP_STRUCT__entry(__field(u64, index)
			     __field(u64, limbs)
			     __field(u32, flags)
			     __field(int, error)),
	    TP_fast_assign(__entry->index = index;
			   __entry->limbs = limbs;
			   __entry->flags = flags;
			   __entry->error = error;),
	    TP_printk("index=%llu limbs=%llu flags=%#x error=%d",
		      __entry->index, __entry->limbs, __entry->flags,
		      __entry->error)
);

#endif /* FIBDRV_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE fibdrv_trace
#include <trace/define_trace.h>
