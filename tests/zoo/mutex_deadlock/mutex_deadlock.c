// SPDX-License-Identifier: GPL-2.0
/* Fault: takes a mutex that it holds. */
#include <linux/module.h>
#include <linux/mutex.h>

static DEFINE_MUTEX(lock);

static noinline void mutex_deadlock_take(void)
{
	mutex_lock(&lock);
	mutex_lock(&lock);
	mutex_unlock(&lock);
	mutex_unlock(&lock);
}

static int __init mutex_deadlock_init(void)
{
	mutex_deadlock_take();
	return 0;
}
module_init(mutex_deadlock_init);

static void __exit mutex_deadlock_exit(void)
{
}
module_exit(mutex_deadlock_exit);

MODULE_DESCRIPTION("vmlab zoo: mutex locked twice");
MODULE_LICENSE("GPL");
