# SPDX-License-Identifier: MIT
"""The output line that explains a failure: tables of cases."""
