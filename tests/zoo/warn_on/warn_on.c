// SPDX-License-Identifier: GPL-2.0
/* Fault: WARN_ON(). */
#include <linux/bug.h>
#include <linux/module.h>

static noinline void warn_on_hit(void)
{
	WARN_ON(1);
}

static int __init warn_on_init(void)
{
	warn_on_hit();
	return 0;
}
module_init(warn_on_init);

static void __exit warn_on_exit(void)
{
}
module_exit(warn_on_exit);

MODULE_DESCRIPTION("vmlab zoo: WARN_ON()");
MODULE_LICENSE("GPL");
