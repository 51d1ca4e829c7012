// SPDX-License-Identifier: GPL-2.0
/*
 * Is under the GPL, and uses a symbol of a proprietary module and one that is
 * for GPL modules only. The kernel resolves them in the order of the symbol
 * table, which is ld's: vmlab_only_gpl comes first there.
 */
#include <linux/init.h>
#include <linux/module.h>

#include "lender.h"

static int __init gpl_first_init(void)
{
	return vmlab_only_gpl() + vmlab_closed() == 5 ? 0 : -EINVAL;
}
module_init(gpl_first_init);

static void __exit gpl_first_exit(void)
{
}
module_exit(gpl_first_exit);

MODULE_DESCRIPTION("vmlab experiments: vmlab_only_gpl, then vmlab_closed");
MODULE_LICENSE("GPL");
