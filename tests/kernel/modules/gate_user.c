// SPDX-License-Identifier: GPL-2.0
/* Uses what gate.ko exports, and exports something itself: while it waits for gate.ko it is UNFORMED. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>
#include <linux/printk.h>

#include "gate.h"

int vmlab_gate_user(void)
{
	return vmlab_gate();
}
EXPORT_SYMBOL_GPL(vmlab_gate_user);

static int __init gate_user_init(void)
{
	pr_info("init: vmlab_gate() = %d\n", vmlab_gate());
	return 0;
}
module_init(gate_user_init);

static void __exit gate_user_exit(void)
{
}
module_exit(gate_user_exit);

MODULE_DESCRIPTION("vmlab experiments: needs a module that is not ready");
MODULE_LICENSE("GPL");
