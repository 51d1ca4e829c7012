# SPDX-License-Identifier: MIT
"""A test lab for out-of-tree Linux kernel modules.

Importing this package imports nothing else: a pytest run that uses no guest must not pay for one.
"""

__version__ = "0.1.0"
