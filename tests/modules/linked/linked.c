// SPDX-License-Identifier: MIT OR GPL-2.0
/* Uses a symbol of a module of another tree */
#include <linux/init.h>
#include <linux/module.h>

int lender_number(void);

static int __init linked_init(void)
{
	return lender_number() == 42 ? 0 : -EINVAL;
}

static void __exit linked_exit(void)
{
}

module_init(linked_init);
module_exit(linked_exit);

MODULE_DESCRIPTION("Uses a symbol of a module of another tree");
MODULE_LICENSE("Dual MIT/GPL");
