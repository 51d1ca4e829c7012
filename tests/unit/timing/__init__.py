# SPDX-License-Identifier: MIT
"""Measurements: kept, compared, never guessed."""
