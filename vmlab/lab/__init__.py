# SPDX-License-Identifier: MIT
"""The wiring of the layers: a testbed per target, its boots, builds and snapshots."""
