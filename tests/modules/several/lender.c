// SPDX-License-Identifier: MIT OR GPL-2.0
/* Exports a symbol to the other module of its tree */
#include <linux/init.h>
#include <linux/module.h>

#include "lender.h"

int lender_number(void)
{
	return 42;
}
EXPORT_SYMBOL_GPL(lender_number);

static int __init lender_init(void)
{
	return 0;
}

static void __exit lender_exit(void)
{
}

module_init(lender_init);
module_exit(lender_exit);

MODULE_DESCRIPTION("Exports a symbol to the other module of its tree");
MODULE_LICENSE("Dual MIT/GPL");
