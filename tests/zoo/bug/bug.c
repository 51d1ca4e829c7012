// SPDX-License-Identifier: GPL-2.0
/* Fault: BUG(). */
#include <linux/bug.h>
#include <linux/module.h>

static int trouble = 1;

static noinline void bug_hit(void)
{
	if (READ_ONCE(trouble))
		BUG();
}

static int __init bug_init(void)
{
	bug_hit();
	return 0;
}
module_init(bug_init);

static void __exit bug_exit(void)
{
}
module_exit(bug_exit);

MODULE_DESCRIPTION("vmlab zoo: BUG()");
MODULE_LICENSE("GPL");
