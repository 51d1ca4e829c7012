// SPDX-License-Identifier: GPL-2.0
/* Exports one symbol to everybody and one to modules under a license that is compatible with the GPL. */
#include <linux/module.h>

#include "lender.h"

int vmlab_plain(void)
{
	return 1;
}
EXPORT_SYMBOL(vmlab_plain);

int vmlab_gpl(void)
{
	return 2;
}
EXPORT_SYMBOL_GPL(vmlab_gpl);

MODULE_DESCRIPTION("vmlab experiments: exports symbols");
MODULE_LICENSE("GPL");
