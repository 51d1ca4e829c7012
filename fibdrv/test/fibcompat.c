// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A 32-bit client on a 64-bit kernel, which goes through the kernel's compat
 * entries. It has no C library, so that the compiler of a 64-bit system that
 * has none for 32 bits makes it:
 *
 *	gcc -m32 -static -nostdlib -ffreestanding -fno-stack-protector
 *		-fno-pie -no-pie -I/usr/include/x86_64-linux-gnu
 *
 * For each call it prints a line "name <tab> result" and what the call gave.
 */
#include <linux/types.h>

#include "../uapi/fibdrv.h"

/* arch/x86/entry/syscalls/syscall_32.tbl */
#define EXIT	1
#define READ	3
#define WRITE	4
#define OPEN	5
#define IOCTL	54
#define LLSEEK	140
#define PREAD64	180

static long call(long number, long a, long b, long c, long d, long e)
{
	long result;

	asm volatile("int $0x80" : "=a" (result)
		     : "0" (number), "b" (a), "c" (b), "d" (c), "S" (d), "D" (e)
		     : "memory");
	return result;
}

static void print(const char *text, unsigned long size)
{
	call(WRITE, 1, (long)text, (long)size, 0, 0);
}

static void print_text(const char *text)
{
	unsigned long size = 0;

	while (text[size])
		size++;
	print(text, size);
}

static void print_number(long value)
{
	char digits[12], *at = digits + sizeof(digits);
	unsigned long rest = value < 0 ? 0UL - (unsigned long)value :
					 (unsigned long)value;

	do {
		*--at = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest);
	if (value < 0)
		*--at = '-';
	print(at, (unsigned long)(digits + sizeof(digits) - at));
}

static void report(const char *name, long result)
{
	print_text(name);
	print("\t", 1);
	print_number(result);
	print("\n", 1);
}

static void report_record(const char *name, const char *record, long size)
{
	report(name, size);
	if (size > 0)
		print(record, (unsigned long)size);
}

void _start(void)
{
	static struct fibdrv_size size = { .index = 300 };
	static struct fibdrv_format hex = { .format = FIBDRV_FORMAT_HEX };
	static struct fibdrv_format bad = { .format = 3 };
	static struct fibdrv_stats stats;
	/* No array of that size without -m32. */
	static char record[sizeof(long) == 4 ? 256 : -1];
	static __s64 position;
	/* O_RDONLY */
	long fd = call(OPEN, (long)"/dev/fibonacci", 0, 0, 0, 0);
	long got;

	report("open", fd < 0 ? fd : 0);
	got = call(PREAD64, fd, (long)record, sizeof(record), 100, 0);
	report_record("pread 100", record, got);
	/* The offset's upper half is a word of its own: 2^61 - 2. */
	got = call(PREAD64, fd, (long)record, sizeof(record), -2, 0x1fffffff);
	report("pread 2^61-2", got);
	report("lseek", call(LLSEEK, fd, 0, 90, (long)&position, 0));
	report("position", (long)position);
	got = call(READ, fd, (long)record, sizeof(record), 0, 0);
	report_record("read", record, got);
	report("size", call(IOCTL, fd, FIBDRV_IOC_SIZE, (long)&size, 0, 0));
	report("size bytes", (long)size.bytes);
	report("stats", call(IOCTL, fd, FIBDRV_IOC_STATS, (long)&stats, 0, 0));
	report("stats index", (long)stats.index);
	report("stats bytes", (long)stats.bytes);
	report("format", call(IOCTL, fd, FIBDRV_IOC_FORMAT, (long)&hex, 0, 0));
	got = call(PREAD64, fd, (long)record, sizeof(record), 100, 0);
	report_record("pread 100 in hex", record, got);
	report("format 3", call(IOCTL, fd, FIBDRV_IOC_FORMAT, (long)&bad, 0, 0));
	report("ioctl 99", call(IOCTL, fd, _IO(FIBDRV_IOC_MAGIC, 99), 0, 0, 0));
	report("ioctl NULL", call(IOCTL, fd, FIBDRV_IOC_SIZE, 0, 0, 0));
	call(EXIT, 0, 0, 0, 0, 0);
}
