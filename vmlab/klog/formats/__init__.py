# SPDX-License-Identifier: MIT
"""Readers for kernel logs of other machines: files of any encoding, and the formats of the programs that print logs."""
