# SPDX-License-Identifier: MIT
"""The map and the advice of this installation, read once."""

from __future__ import annotations

import functools

from vmlab.api.advice import AdviceBook, read_advice
from vmlab.api.history import History
from vmlab.api.map_file import read_map
from vmlab.catalogue.matrix import catalogue_directory

MAP = "api/amd64.map"
ADVICE = "api-advice.toml"


@functools.cache
def own_history() -> History:
    """Return the map in the catalogue; raises `AssetError` if it is missing or damaged."""
    return History(read_map(catalogue_directory() / MAP))


@functools.cache
def own_advice() -> AdviceBook:
    """Return the advice in the catalogue; raises `UsageError` if it is missing or invalid."""
    return read_advice(catalogue_directory() / ADVICE)
