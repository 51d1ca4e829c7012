// SPDX-License-Identifier: GPL-2.0
/* Fault: uses a symbol that is for GPL modules only, and says that it is none. */
#include <linux/module.h>
#include <linux/timekeeping.h>

static int __init gpl_only_init(void)
{
	return ktime_get_seconds() < 0 ? -EIO : 0;
}
module_init(gpl_only_init);

static void __exit gpl_only_exit(void)
{
}
module_exit(gpl_only_exit);

MODULE_DESCRIPTION("vmlab zoo: GPL-only symbol");
MODULE_LICENSE("Proprietary");
