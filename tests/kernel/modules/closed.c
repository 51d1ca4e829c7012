// SPDX-License-Identifier: GPL-2.0
/* A module that says it is proprietary, and exports a symbol. */
#include <linux/module.h>

#include "lender.h"

int vmlab_closed(void)
{
	return 3;
}
EXPORT_SYMBOL(vmlab_closed);

MODULE_DESCRIPTION("vmlab experiments: says it is proprietary");
MODULE_LICENSE("Proprietary");
