// SPDX-License-Identifier: MIT OR GPL-2.0
/* Module of the directory that M= names */
#include <linux/init.h>
#include <linux/module.h>

static int __init wrapped_init(void)
{
	return 0;
}

static void __exit wrapped_exit(void)
{
}

module_init(wrapped_init);
module_exit(wrapped_exit);

MODULE_DESCRIPTION("Module of the directory that M= names");
MODULE_LICENSE("Dual MIT/GPL");
