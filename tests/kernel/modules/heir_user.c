// SPDX-License-Identifier: GPL-2.0
/* Is under the GPL and uses a module that uses a proprietary one. */
#include <linux/init.h>
#include <linux/module.h>

#include "lender.h"

static int __init heir_user_init(void)
{
	return vmlab_heir() == 3 ? 0 : -EINVAL;
}
module_init(heir_user_init);

static void __exit heir_user_exit(void)
{
}
module_exit(heir_user_exit);

MODULE_DESCRIPTION("vmlab experiments: uses a proprietary module through another");
MODULE_LICENSE("GPL");
