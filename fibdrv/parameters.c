// SPDX-License-Identifier: GPL-2.0-only OR MIT
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kernel.h>
#include <linux/moduleparam.h>
#include <linux/string.h>

#include "arith/record.h"
#include "parameters.h"
#include "uapi/fibdrv.h"

#define KEEP_KIB_MAX	(64 * 1024)

unsigned long max_n = 10000000;
module_param(max_n, ulong, 0444);
MODULE_PARM_DESC(max_n, "the last index, 1 to 1000000000 (default 10000000)");

unsigned int keep_kib = 256;
module_param(keep_kib, uint, 0444);
MODULE_PARM_DESC(keep_kib,
		 "KiB that an open file may keep for a reader that reads on, 0 to 65536 (default 256)");

static char *format = "decimal";
module_param(format, charp, 0444);
MODULE_PARM_DESC(format,
		 "what a file is opened with: decimal (default), hex or binary");

const char * const format_names[FORMAT_COUNT] = {
	[FIBDRV_FORMAT_DECIMAL]	= "decimal",
	[FIBDRV_FORMAT_HEX]	= "hex",
	[FIBDRV_FORMAT_BINARY]	= "binary",
};

u32 default_format;

static int check(const char *name, unsigned long value, unsigned long least,
		 unsigned long most)
{
	if (value >= least && value <= most)
		return 0;
	pr_err("%s is %lu, but must be %lu to %lu\n", name, value, least, most);
	return -EINVAL;
}

int check_parameters(void)
{
	int err;

	err = check("max_n", max_n, 1, FIB_INDEX_MAX);
	if (!err)
		err = check("keep_kib", keep_kib, 0, KEEP_KIB_MAX);
	if (err)
		return err;
	for (; default_format < FORMAT_COUNT; default_format++)
		if (sysfs_streq(format, format_names[default_format]))
			return 0;
	pr_err("format is '%s', but must be decimal, hex or binary\n", format);
	return -EINVAL;
}
