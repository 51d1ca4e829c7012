# SPDX-License-Identifier: MIT
"""Pictures of cost against n."""
