# SPDX-License-Identifier: MIT
"""The line of an output that tells why something failed: tables of cases."""
