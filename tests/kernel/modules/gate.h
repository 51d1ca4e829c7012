/* SPDX-License-Identifier: GPL-2.0 */
/* What gate.ko exports, and gate_user.ko, which uses it. */
#ifndef VMLAB_GATE_H
#define VMLAB_GATE_H

int vmlab_gate(void);
int vmlab_gate_user(void);

#endif /* VMLAB_GATE_H */
