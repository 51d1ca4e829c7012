# SPDX-License-Identifier: MIT
"""Attacks on the lab, each with a check that it failed."""
