// SPDX-License-Identifier: MIT OR GPL-2.0
/* Module of a directory that obj-m names */
#include <linux/init.h>
#include <linux/module.h>

static int __init nested_core_init(void)
{
	return 0;
}

static void __exit nested_core_exit(void)
{
}

module_init(nested_core_init);
module_exit(nested_core_exit);

MODULE_DESCRIPTION("Module of a directory that obj-m names");
MODULE_LICENSE("Dual MIT/GPL");
