# SPDX-License-Identifier: MIT
"""Tests of plots of cost against n."""
