// SPDX-License-Identifier: MIT OR GPL-2.0
/* Module of a directory that obj-y names */
#include <linux/init.h>
#include <linux/module.h>

int nested_part(void);

static int __init nested_driver_init(void)
{
	return nested_part();
}

static void __exit nested_driver_exit(void)
{
}

module_init(nested_driver_init);
module_exit(nested_driver_exit);

MODULE_DESCRIPTION("Module of a directory that obj-y names");
MODULE_LICENSE("Dual MIT/GPL");
