// SPDX-License-Identifier: GPL-2.0
/* Takes one dynamic major number after another, and shows them: cat /sys/module/majors/parameters/majors. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/init.h>
#include <linux/kdev_t.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/printk.h>

/* Documentation/admin-guide/devices.txt: 234-254, and from 384 up. */
#define MAJORS_FIRST_RANGE_TOP 254
/* More than the kernel gives out: find_dynamic_major() in fs/char_dev.c. */
#define MAJORS_MOST 256

static bool all = true;
module_param(all, bool, 0444);
MODULE_PARM_DESC(all, "go on above 254 until the kernel refuses");

static unsigned int majors[MAJORS_MOST];
static unsigned int majors_held;
module_param_array(majors, uint, &majors_held, 0444);
MODULE_PARM_DESC(majors, "what was taken, in this order; read it");

static int refusal;
module_param(refusal, int, 0444);
MODULE_PARM_DESC(refusal, "the error that ended it, or 0; read it");

static int __init majors_init(void)
{
	dev_t number;

	refusal = 0;
	for (majors_held = 0; majors_held < MAJORS_MOST; majors_held++) {
		refusal = alloc_chrdev_region(&number, 0, 1, KBUILD_MODNAME);
		if (refusal)
			break;
		if (!all && MAJOR(number) > MAJORS_FIRST_RANGE_TOP) {
			unregister_chrdev_region(number, 1);
			break;
		}
		majors[majors_held] = MAJOR(number);
	}
	pr_info("%u majors taken, then %d\n", majors_held, refusal);
	return 0;
}
module_init(majors_init);

static void __exit majors_exit(void)
{
	while (majors_held > 0)
		unregister_chrdev_region(MKDEV(majors[--majors_held], 0), 1);
}
module_exit(majors_exit);

MODULE_DESCRIPTION("vmlab experiments: takes dynamic major numbers");
MODULE_LICENSE("GPL");
