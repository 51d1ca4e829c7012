# SPDX-License-Identifier: MIT
"""The machine: QEMU's argument list, its process, its monitor and its console."""
