# SPDX-License-Identifier: MIT
"""The text of a kernel log: records, splats, call traces, rules, taints, the verdict. Independent of guests."""
