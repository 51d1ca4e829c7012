# SPDX-License-Identifier: MIT
"""fibdrv on every target's kernel, over SSH."""
