// SPDX-License-Identifier: MIT OR GPL-2.0
/* Default target that wants git */
#include <linux/init.h>
#include <linux/module.h>

static int __init plain_init(void)
{
	return 0;
}

static void __exit plain_exit(void)
{
}

module_init(plain_init);
module_exit(plain_exit);

MODULE_DESCRIPTION("Default target that wants git");
MODULE_LICENSE("Dual MIT/GPL");
