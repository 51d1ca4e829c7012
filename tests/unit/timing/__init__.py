# SPDX-License-Identifier: MIT
"""Tests of measurements: proved, stored, compared, never guessed."""
