// SPDX-License-Identifier: MIT OR GPL-2.0
int lender_number(void);
