# SPDX-License-Identifier: MIT
"""Verdicts: what a run found, per target, as records and as things to look at."""
