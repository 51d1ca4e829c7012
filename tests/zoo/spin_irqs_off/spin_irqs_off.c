// SPDX-License-Identifier: GPL-2.0
/* Fault: loops for ever on one processor with interrupts off. */
#include <linux/irqflags.h>
#include <linux/module.h>
#include <linux/processor.h>

static int done;

static noinline void spin_irqs_off_spin(void)
{
	local_irq_disable();
	while (!READ_ONCE(done))
		cpu_relax();
	local_irq_enable();
}

static int __init spin_irqs_off_init(void)
{
	spin_irqs_off_spin();
	return 0;
}
module_init(spin_irqs_off_init);

static void __exit spin_irqs_off_exit(void)
{
}
module_exit(spin_irqs_off_exit);

MODULE_DESCRIPTION("vmlab zoo: endless loop with interrupts off");
MODULE_LICENSE("GPL");
