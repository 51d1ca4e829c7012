# SPDX-License-Identifier: MIT
"""The host: what it can do, proved once and kept as frozen facts."""
