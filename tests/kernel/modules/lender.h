/* SPDX-License-Identifier: GPL-2.0 */
/* What the experiments' modules export to each other. */
#ifndef VMLAB_LENDER_H
#define VMLAB_LENDER_H

unsigned int vmlab_said(void); /* hello.ko, EXPORT_SYMBOL_GPL */
int vmlab_plain(void); /* lender.ko, EXPORT_SYMBOL */
int vmlab_gpl(void); /* lender.ko, EXPORT_SYMBOL_GPL */
int vmlab_only_gpl(void); /* lender.ko, EXPORT_SYMBOL_GPL */
int vmlab_closed(void); /* closed.ko, which is proprietary, EXPORT_SYMBOL */
int vmlab_heir(void); /* heir.ko, which uses vmlab_closed, EXPORT_SYMBOL */
int vmlab_rival_name(void); /* rival.ko, EXPORT_SYMBOL_GPL */

#endif /* VMLAB_LENDER_H */
