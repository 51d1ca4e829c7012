// SPDX-License-Identifier: MIT OR GPL-2.0
int nested_part(void);

int nested_part(void)
{
	return 0;
}
