// SPDX-License-Identifier: MIT OR GPL-2.0
/* Module that an option selects */
#include <linux/init.h>
#include <linux/module.h>

static int __init optional_init(void)
{
	return 0;
}

static void __exit optional_exit(void)
{
}

module_init(optional_init);
module_exit(optional_exit);

MODULE_DESCRIPTION("Module that an option selects");
MODULE_LICENSE("Dual MIT/GPL");
