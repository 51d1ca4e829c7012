# SPDX-License-Identifier: MIT
"""A module's tree described: its modules and how they are built, and the file or setting that each fact is from."""
