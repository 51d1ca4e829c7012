/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * As much of a kernel as fibdrv_read.c wants, in user space, for fuzz_read.c:
 * every other header in this directory includes this one.
 */
#ifndef FIBDRV_TEST_KERNEL_FAKE_H
#define FIBDRV_TEST_KERNEL_FAKE_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

#define __user
#define SZ_1K 1024
#define SZ_1M (1024 * 1024)
#define READ_ONCE(value) (value)
#define min_t(type, a, b) smaller(a, b)	/* of size_t only */
#define check_add_overflow(a, b, sum) __builtin_add_overflow(a, b, sum)

static inline size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

struct mutex {
	int held;
};

/* The lock is had, or the wait for it is killed; fuzz_read.c decides. */
int mutex_lock_killable(struct mutex *mutex);
int mutex_trylock(struct mutex *mutex);
void mutex_unlock(struct mutex *mutex);

struct fake_spinlock {
	int held;
};

#define spinlock_t struct fake_spinlock

static inline void spin_lock(spinlock_t *lock)
{
	lock->held++;
}

static inline void spin_unlock(spinlock_t *lock)
{
	lock->held--;
}

struct file {
	void *private_data;
	unsigned int f_flags;
	loff_t f_pos;
};

/* Gives how many bytes could not be copied, as the kernel's does. */
unsigned long copy_to_user(void *to, const void *from, unsigned long count);

static inline unsigned long long ktime_get_ns(void)
{
	static unsigned long long time_ns;

	return ++time_ns;
}

/* A tracepoint that nobody listens to. */
#define TP_PROTO(...) __VA_ARGS__
#define TRACE_EVENT(name, proto, ...) \
	static inline void trace_##name(proto) {}
#define DECLARE_EVENT_CLASS(...)
#define DEFINE_EVENT(template, name, proto, ...) \
	static inline void trace_##name(proto) {}

#endif /* FIBDRV_TEST_KERNEL_FAKE_H */
