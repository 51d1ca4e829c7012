# SPDX-License-Identifier: MIT
"""Experiments on the rights of an ordinary user: kernel facts, on every target."""
