# SPDX-License-Identifier: MIT
"""Small faults to put into fibdrv, and trying whether the tests see them."""
