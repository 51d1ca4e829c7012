# SPDX-License-Identifier: MIT
"""Experiments on what a kernel lets an ordinary user do: its own facts, on every target."""
