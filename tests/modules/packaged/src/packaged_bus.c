// SPDX-License-Identifier: MIT OR GPL-2.0
/* First module of a dkms package */
#include <linux/init.h>
#include <linux/module.h>

#include "step.h"

static int __init packaged_bus_init(void)
{
	return PACKAGED_STEP == 1 ? 0 : -EINVAL;
}

static void __exit packaged_bus_exit(void)
{
}

module_init(packaged_bus_init);
module_exit(packaged_bus_exit);

MODULE_DESCRIPTION("First module of a dkms package");
MODULE_LICENSE("Dual MIT/GPL");
