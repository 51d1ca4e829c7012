// SPDX-License-Identifier: GPL-2.0
/* Fault: sleeps while it holds a spinlock. */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/spinlock.h>

static DEFINE_SPINLOCK(lock);

static noinline void sleep_in_atomic_sleep(void)
{
	spin_lock(&lock);
	msleep(20);
	spin_unlock(&lock);
}

static int __init sleep_in_atomic_init(void)
{
	sleep_in_atomic_sleep();
	return 0;
}
module_init(sleep_in_atomic_init);

static void __exit sleep_in_atomic_exit(void)
{
}
module_exit(sleep_in_atomic_exit);

MODULE_DESCRIPTION("vmlab zoo: sleeps under a spinlock");
MODULE_LICENSE("GPL");
