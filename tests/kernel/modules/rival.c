// SPDX-License-Identifier: GPL-2.0
/* Exports one symbol. What name it goes by is changed in the built file: no two files that are built together may. */
#include <linux/module.h>

#include "lender.h"

int vmlab_rival_name(void)
{
	return 4;
}
EXPORT_SYMBOL_GPL(vmlab_rival_name);

MODULE_DESCRIPTION("vmlab experiments: exports a name that is taken");
MODULE_LICENSE("GPL");
