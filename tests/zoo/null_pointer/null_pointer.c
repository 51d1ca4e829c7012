// SPDX-License-Identifier: GPL-2.0
/* Fault: reads through a null pointer. */
#include <linux/compiler.h>
#include <linux/module.h>

static noinline int null_pointer_read(int *where)
{
	OPTIMIZER_HIDE_VAR(where);
	return READ_ONCE(*where);
}

static int __init null_pointer_init(void)
{
	return null_pointer_read(NULL) ? 0 : -EIO;
}
module_init(null_pointer_init);

static void __exit null_pointer_exit(void)
{
}
module_exit(null_pointer_exit);

MODULE_DESCRIPTION("vmlab zoo: null pointer");
MODULE_LICENSE("GPL");
