// SPDX-License-Identifier: GPL-2.0
/* Is under the GPL, uses a symbol of a proprietary module, and exports one. */
#include <linux/module.h>

#include "lender.h"

int vmlab_heir(void)
{
	return vmlab_closed();
}
EXPORT_SYMBOL(vmlab_heir);

MODULE_DESCRIPTION("vmlab experiments: uses a proprietary module");
MODULE_LICENSE("GPL");
