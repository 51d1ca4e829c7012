// SPDX-License-Identifier: GPL-2.0
/*
 * Is under the GPL, uses a symbol of a proprietary module and one that is for
 * GPL modules only. The kernel looks them up in the order of the symbol table,
 * where they stand in the order of their first use: vmlab_gpl first.
 */
#include <linux/init.h>
#include <linux/module.h>

#include "lender.h"

static int __init gpl_first_init(void)
{
	int first = vmlab_gpl();

	return first + vmlab_closed() == 5 ? 0 : -EINVAL;
}
module_init(gpl_first_init);

static void __exit gpl_first_exit(void)
{
}
module_exit(gpl_first_exit);

MODULE_DESCRIPTION("vmlab experiments: GPL-only symbol, then proprietary symbol");
MODULE_LICENSE("GPL");
