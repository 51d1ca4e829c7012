# SPDX-License-Identifier: MIT
"""The clock: what a duration was measured with, and series of measurements."""
