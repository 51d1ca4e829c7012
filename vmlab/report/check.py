# SPDX-License-Identifier: MIT
"""Checks of a result that was read from a file: values that no run has would break or flood a report. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from vmlab.errors import UsageError
from vmlab.lab.facts import TargetFacts
from vmlab.report.model import RunResult, ShardFacts
from vmlab.settings import MOST_SHARDS
from vmlab.text import printable
from vmlab.timing.document import check_series

LONGEST_S = 10**7
"""Longest duration in a file, four months in seconds."""
MOST_TARGETS = 2000
"""Maximum number of targets in a result; the catalogue has 60, each with four boot modes."""
_MOST = 10**9
_LONGEST_NAME = 4096
_SHOWN = 200
"""Longest part of a test's name in a message; pytest allows any characters in names."""
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Control characters, line and paragraph separators, and marks that reverse the direction of text."""


def check_result(result: RunResult, *, where: str) -> None:
    """Raise `UsageError`, which begins with `where`, for the first value of a result that no run has."""
    if len(result.targets) > MOST_TARGETS:
        raise UsageError(f"{where}: a result has at most {MOST_TARGETS} targets, got {len(result.targets)}")
    require_plain(result.vmlab, result.module, result.source, result.started, *result.missing, where=where)
    if result.shard is not None:
        _check_shard(result.shard, where)
    for row in result.targets:
        require_plain(row.target, where=where)
        at = f"{where}: {row.target}"
        if row.facts is not None:
            _check_facts(row.facts, at)
        for test in row.tests:
            _require({f"{printable(test.test[:_SHOWN])}: duration_s": test.duration_s}, LONGEST_S, at)
    for series in result.series:
        require_plain(series.name, series.target, where=where)
        check_series([series], where=where)


def require_plain(*names: str, where: str) -> None:
    """Raise `UsageError` for a name that is longer than a path, or contains control characters."""
    for name in names:
        if len(name) > _LONGEST_NAME or _CONTROLS.search(name):
            raise UsageError(
                f"{where}: invalid name {name[:80]!r}", hint="expected one line without control characters"
            )


def _check_shard(shard: ShardFacts, where: str) -> None:
    require_plain(shard.run, where=where)
    if not 1 <= shard.index <= shard.count <= MOST_SHARDS:
        raise UsageError(
            f"{where}: shard must be between 1/{MOST_SHARDS} and {MOST_SHARDS}/{MOST_SHARDS}, "
            f"got {shard.index}/{shard.count}"
        )
    _require({"shard.tests": shard.tests}, _MOST, where)


def _check_facts(facts: TargetFacts, where: str) -> None:
    provenance = facts.provenance
    require_plain(provenance.release, provenance.image, provenance.accelerator, provenance.compiler, where=where)
    require_plain(*facts.consoles, where=where)
    counts = {"boots": facts.boots, "forks": facts.forks, "forks_discarded": facts.forks_discarded}
    _require(counts, _MOST, where)
    times = {"image_s": facts.image_s, "boot_s": facts.boot_s, "fork_s": facts.fork_s, "build_s": facts.build_s or 0.0}
    _require(times, LONGEST_S, where)


def _require(values: Mapping[str, float], most: float, where: str) -> None:
    for name, value in values.items():
        if not 0 <= value <= most:  # NaN fails both comparisons
            raise UsageError(f"{where}: {name} must be between 0 and {most}, got {_number(value)}")


def _number(value: float) -> str:
    return f"{value:.6g}" if abs(value) > _MOST else str(value)
