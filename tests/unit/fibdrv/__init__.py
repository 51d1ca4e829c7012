# SPDX-License-Identifier: MIT
"""fibdrv without a guest: its packaging, and its mutants."""
