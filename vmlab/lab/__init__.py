# SPDX-License-Identifier: MIT
"""The layer that connects the others: a testbed per target with its boots, builds and snapshots."""
