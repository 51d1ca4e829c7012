/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * As much of a kernel as fibdrv_main.c, give_record.c and keep.c want, in user
 * space, for fuzz_read.c: every other header in this directory includes this
 * one. The calls that matter there are declared here and defined in fuzz_read.c;
 * what only a loaded module needs does nothing.
 */
#ifndef FIBDRV_TEST_KERNEL_FAKE_H
#define FIBDRV_TEST_KERNEL_FAKE_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/types.h>
#include <unistd.h>

#define CONFIG_64BIT 1
#ifndef __LITTLE_ENDIAN
#define __LITTLE_ENDIAN 1234
#endif
#define KBUILD_MODNAME "fibdrv"

#define __user
#define __init
#define __exit
#define SZ_1K 1024
#define SZ_1M (1024 * 1024)
#define READ_ONCE(value) (value)
#define WRITE_ONCE(to, value) ((to) = (value))
#define min_t(type, a, b) smaller(a, b)	/* of size_t only */
#define check_add_overflow(a, b, sum) __builtin_add_overflow(a, b, sum)

static inline size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static inline long max(long a, long b)
{
	return a > b ? a : b;
}

/* --- locks, waiting and signals --- */

struct mutex {
	int held;
};

/* The lock is had, or the wait for it is killed; fuzz_read.c decides. */
int mutex_lock_killable(struct mutex *mutex);
int mutex_trylock(struct mutex *mutex);
void mutex_unlock(struct mutex *mutex);
#define mutex_init(mutex) ((mutex)->held = 0)
#define mutex_destroy(mutex) ((void)(mutex))
#define mutex_is_locked(mutex) ((mutex)->held)

typedef struct { long value; } atomic_long_t;

#define atomic_long_read(counter) ((counter)->value)
#define atomic_long_add_return(change, counter) ((counter)->value += (change))
#define atomic_long_sub(change, counter) ((counter)->value -= (change))

/* How often somebody who waits was woken. */
typedef struct { int wakes; } wait_queue_head_t;

#define init_waitqueue_head(queue) ((queue)->wakes = 0)
#define wake_up_poll(queue, events) ((queue)->wakes++)
#define poll_wait(file, queue, wait) ((void)(queue))

#define ERESTARTNOINTR 513
#define current NULL
bool fatal_signal_pending(void *task);
bool signal_pending(void *task);

struct fake_spinlock {
	int held;
};

#define spinlock_t struct fake_spinlock
#define spin_lock_init(lock) ((lock)->held = 0)

static inline void spin_lock(spinlock_t *lock)
{
	lock->held++;
}

static inline void spin_unlock(spinlock_t *lock)
{
	lock->held--;
}

/* --- files --- */

#define FMODE_UNSIGNED_OFFSET 0x2000

struct file {
	void *private_data;
	unsigned int f_flags;
	unsigned int f_mode;
	loff_t f_pos;
};

struct inode;
struct poll_table_struct;
struct seq_file;
typedef unsigned int __poll_t;
typedef unsigned short umode_t;

struct file_operations {
	void *owner;
	int (*open)(struct inode *inode, struct file *file);
	int (*release)(struct inode *inode, struct file *file);
	ssize_t (*read)(struct file *file, char *buf, size_t count,
			loff_t *ppos);
	ssize_t (*write)(struct file *file, const char *buf, size_t count,
			 loff_t *ppos);
	loff_t (*llseek)(struct file *file, loff_t offset, int whence);
	__poll_t (*poll)(struct file *file, struct poll_table_struct *wait);
	void (*show_fdinfo)(struct seq_file *seq, struct file *file);
	long (*unlocked_ioctl)(struct file *file, unsigned int request,
			       unsigned long argument);
	long (*compat_ioctl)(struct file *file, unsigned int request,
			     unsigned long argument);
};

#define compat_ptr_ioctl NULL
#define seq_printf(seq, format, value) ((void)(seq), (void)(value))

/* Give how many bytes could not be copied, as the kernel's do. */
unsigned long copy_to_user(void *to, const void *from, unsigned long count);
unsigned long copy_from_user(void *to, const void *from, unsigned long count);

static inline unsigned long long ktime_get_ns(void)
{
	static unsigned long long time_ns;

	return ++time_ns;
}

/* --- a tracepoint that nobody listens to --- */

#define TP_PROTO(...) __VA_ARGS__
#define TRACE_EVENT(name, proto, ...) \
	static inline void trace_##name(proto) {}

/* --- loading --- */

#define THIS_MODULE NULL
#define MODULE_AUTHOR(text)
#define MODULE_DESCRIPTION(text)
#define MODULE_VERSION(text)
#define MODULE_LICENSE(text)
#define module_init(function) \
	int (*const fake_module_init)(void) = (function)
#define module_exit(function) \
	void (*const fake_module_exit)(void) = (function)

#define pr_info(...) printf(__VA_ARGS__)
#define ERR_PTR(error) ((void *)(long)(error))
#define PTR_ERR(pointer) ((int)(long)(pointer))
#define IS_ERR(pointer) ((unsigned long)(pointer) >= (unsigned long)-4095)
#define MAJOR(devt) ((unsigned int)(devt) >> 20)
#define MINOR(devt) ((unsigned int)(devt) & 0xfffff)

struct device;

struct class {
	void *devnode;	/* its type depends on the kernel: see compat.h */
};

struct kobject {
	int count;
};

struct cdev {
	struct kobject kobj;
	void *owner;
	const struct file_operations *ops;
};

#define alloc_chrdev_region(devt, first, count, name) (*(devt) = 0)
#define unregister_chrdev_region(devt, count)
#define class_create(...) ((struct class *)ERR_PTR(-ENODEV))
#define class_destroy(class)
#define device_create(...) ((struct device *)ERR_PTR(-ENODEV))
#define device_destroy(class, devt)
#define cdev_alloc() ((struct cdev *)NULL)
#define cdev_add(cdev, devt, count) (-ENODEV)
#define cdev_del(cdev)
#define kobject_put(kobject) ((void)(kobject))

#endif /* FIBDRV_TEST_KERNEL_FAKE_H */
