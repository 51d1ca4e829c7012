// SPDX-License-Identifier: MIT OR GPL-2.0
/* Includes a header that a configure script makes */
#include <linux/init.h>
#include <linux/module.h>

#include "config.h"
#ifndef PREPARED_EXTRA
#error EXTRA is not set
#endif

static int __init prepared_init(void)
{
	pr_info("prepared for %s\n", PREPARED_FOR);
	return 0;
}

static void __exit prepared_exit(void)
{
}

module_init(prepared_init);
module_exit(prepared_exit);

MODULE_DESCRIPTION("Includes a header that a configure script makes");
MODULE_LICENSE("Dual MIT/GPL");
