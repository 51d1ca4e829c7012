// SPDX-License-Identifier: MIT OR GPL-2.0
/* Uses a symbol of the other module of its tree */
#include <linux/init.h>
#include <linux/module.h>

#include "lender.h"

static int limit = 1;
module_param(limit, int, 0444);
MODULE_PARM_DESC(limit, "a number");

static int __init borrower_init(void)
{
	return lender_number() == 42 ? 0 : -EINVAL;
}

static void __exit borrower_exit(void)
{
}

module_init(borrower_init);
module_exit(borrower_exit);

MODULE_DESCRIPTION("Uses a symbol of the other module of its tree");
MODULE_LICENSE("Dual MIT/GPL");
