// SPDX-License-Identifier: GPL-2.0
/* Exports a symbol to everybody, and two to modules under a license that is compatible with the GPL. */
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

int vmlab_only_gpl(void)
{
	return 2;
}
EXPORT_SYMBOL_GPL(vmlab_only_gpl);

MODULE_DESCRIPTION("vmlab experiments: exports symbols");
MODULE_LICENSE("GPL");
