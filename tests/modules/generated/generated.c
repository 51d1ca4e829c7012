// SPDX-License-Identifier: MIT OR GPL-2.0
/* Includes a header that its Makefile makes */
#include <linux/init.h>
#include <linux/module.h>

#include "version.h"

static int __init generated_init(void)
{
	pr_info("generated: %s\n", VERSION);
	return 0;
}

static void __exit generated_exit(void)
{
}

module_init(generated_init);
module_exit(generated_exit);

MODULE_DESCRIPTION("Includes a header that its Makefile makes");
MODULE_LICENSE("Dual MIT/GPL");
