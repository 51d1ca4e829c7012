# SPDX-License-Identifier: MIT
"""The host: its capabilities, proved once and kept as frozen facts."""
