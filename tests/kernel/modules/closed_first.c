// SPDX-License-Identifier: GPL-2.0
/*
 * Is under the GPL, and uses a symbol of a proprietary module and one that is
 * for GPL modules only. The kernel resolves them in the order of the symbol
 * table, which is ld's: vmlab_closed comes first there.
 */
#include <linux/init.h>
#include <linux/module.h>

#include "lender.h"

static int __init closed_first_init(void)
{
	return vmlab_closed() + vmlab_gpl() == 5 ? 0 : -EINVAL;
}
module_init(closed_first_init);

static void __exit closed_first_exit(void)
{
}
module_exit(closed_first_exit);

MODULE_DESCRIPTION("vmlab experiments: vmlab_closed, then vmlab_gpl");
MODULE_LICENSE("GPL");
