// SPDX-License-Identifier: GPL-2.0
/* Uses what gate_user.ko exports. */
#include <linux/init.h>
#include <linux/module.h>

#include "gate.h"

static int __init gate_user_user_init(void)
{
	return vmlab_gate_user() == 1 ? 0 : -EINVAL;
}
module_init(gate_user_user_init);

static void __exit gate_user_user_exit(void)
{
}
module_exit(gate_user_user_exit);

MODULE_DESCRIPTION("vmlab experiments: needs a module that itself waits");
MODULE_LICENSE("GPL");
