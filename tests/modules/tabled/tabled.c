// SPDX-License-Identifier: MIT OR GPL-2.0
/* Has a table that a program of a package makes */
#include <linux/init.h>
#include <linux/module.h>

#include "table.h"

static int __init tabled_init(void)
{
	return table_txt[0] == 'f' ? 0 : -EINVAL;
}

static void __exit tabled_exit(void)
{
}

module_init(tabled_init);
module_exit(tabled_exit);

MODULE_DESCRIPTION("Has a table that a program of a package makes");
MODULE_LICENSE("Dual MIT/GPL");
