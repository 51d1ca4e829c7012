// SPDX-License-Identifier: GPL-2.0
/* Fault: overwrites a list entry's next pointer, then deletes the entry. */
#include <linux/compiler.h>
#include <linux/list.h>
#include <linux/module.h>

static LIST_HEAD(list);
static struct list_head entry;

static noinline void list_corruption_delete(void)
{
	list_add(&entry, &list);
	WRITE_ONCE(entry.next, &entry);
	list_del(&entry);
}

static int __init list_corruption_init(void)
{
	list_corruption_delete();
	return 0;
}
module_init(list_corruption_init);

static void __exit list_corruption_exit(void)
{
}
module_exit(list_corruption_exit);

MODULE_DESCRIPTION("vmlab zoo: damaged list");
MODULE_LICENSE("GPL");
