/* SPDX-License-Identifier: ((GPL-2.0-only WITH Linux-syscall-note) OR MIT) */
/*
 * The interface of /dev/fibonacci, for C and C++ programs.
 *
 * The file position is an index n: a read gives F(n) and moves to n + 1, a
 * pread gives F(n) for its offset n. The ioctls below concern one open file,
 * and change nothing for any other. All of them fail with
 *
 *	EFAULT	when the argument cannot be read or written,
 *	EINVAL	when an argument is not as documented; flags and reserved
 *		fields must be zero,
 *	ENOTTY	for any other request.
 *
 * The structures have the same layout for 32-bit and 64-bit programs.
 */
#ifndef _UAPI_FIBDRV_H
#define _UAPI_FIBDRV_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* How a number is written. */
enum fibdrv_format_id {
	/* Decimal digits and a newline. */
	FIBDRV_FORMAT_DECIMAL	= 0,
	/* Lower-case hexadecimal digits without a prefix, and a newline. */
	FIBDRV_FORMAT_HEX	= 1,
	/* Bytes, the least significant first, no padding; F(0) is one zero. */
	FIBDRV_FORMAT_BINARY	= 2,
};

/**
 * struct fibdrv_size - How long is the record of F(index)?
 * @index: in: the index; EINVAL if it is past the last one.
 * @bytes: out: what a read of it returns in the file's present format, newline
 *	included. The size is exact and costs no computation.
 * @flags: in: 0.
 * @reserved: in: 0.
 */
struct fibdrv_size {
	__aligned_u64	index;
	__aligned_u64	bytes;
	__u32		flags;
	__u32		reserved;
};

/**
 * struct fibdrv_format - How shall this open file write its numbers?
 * @format: in: one of enum fibdrv_format_id. It holds for the reads that begin
 *	after this call; until then the module parameter "format" decides.
 * @flags: in: 0.
 */
struct fibdrv_format {
	__u32		format;
	__u32		flags;
};

/**
 * struct fibdrv_stats - What did the last successful read of this file cost?
 * @index: which number it was. Everything is 0 before the first read.
 * @limbs: its length in 64-bit words.
 * @bytes: its length as it was copied.
 * @compute_ns: nanoseconds of computing it.
 * @format_ns: nanoseconds of converting it; nothing is converted for binary.
 * @copy_ns: nanoseconds of copying it to the caller.
 * @format: the format it was read in.
 * @flags: any of FIBDRV_STATS_*.
 *
 * The times are elapsed ones: they include whatever else ran meanwhile.
 */
struct fibdrv_stats {
	__aligned_u64	index;
	__aligned_u64	limbs;
	__aligned_u64	bytes;
	__aligned_u64	compute_ns;
	__aligned_u64	format_ns;
	__aligned_u64	copy_ns;
	__u32		format;
	__u32		flags;
};

/* The number is the sum of the two before it, which the file had kept. */
#define FIBDRV_STATS_SUM	0x1
/* The number is one that the file had kept: it was read before. */
#define FIBDRV_STATS_KEPT	0x2

#define FIBDRV_IOC_MAGIC	0xfb

#define FIBDRV_IOC_SIZE		_IOWR(FIBDRV_IOC_MAGIC, 1, struct fibdrv_size)
#define FIBDRV_IOC_FORMAT	_IOW(FIBDRV_IOC_MAGIC, 2, struct fibdrv_format)
#define FIBDRV_IOC_STATS	_IOR(FIBDRV_IOC_MAGIC, 3, struct fibdrv_stats)

#endif /* _UAPI_FIBDRV_H */
