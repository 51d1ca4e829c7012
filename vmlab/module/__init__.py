# SPDX-License-Identifier: MIT
"""The module under test: its compiler, its build, what is in the .ko, and loading it."""
