# SPDX-License-Identifier: MIT
"""Unit tests: no QEMU, seconds."""
