# SPDX-License-Identifier: MIT
"""Measurements: proved, kept, compared, never guessed."""
