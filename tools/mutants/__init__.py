# SPDX-License-Identifier: MIT
"""Small faults inserted into fibdrv, and a check that the tests detect them."""
