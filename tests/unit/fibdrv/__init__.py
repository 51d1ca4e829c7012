# SPDX-License-Identifier: MIT
"""Tests of fibdrv without a guest: its packaging, and its mutants."""
