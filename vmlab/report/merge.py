# SPDX-License-Identifier: MIT
"""Merge of the results of several hosts into one, with a list of missing parts; unrelated results are refused."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vmlab.errors import UsageError, some
from vmlab.lab.facts import TargetFacts
from vmlab.report.check import check_result
from vmlab.report.files import RESULT_FILE, read_result
from vmlab.report.model import SCHEMA, RunResult, ShardFacts, TargetResult, TestResult
from vmlab.system.json_file import LARGEST_BYTES
from vmlab.text import printable

_MOST_BYTES = 2 * LARGEST_BYTES
"""Largest size of all files of one merge, which are in memory together."""
_DEEPEST = 100
"""Maximum depth of folders with result files: artifacts are a few deep."""
_SHOWN = 200
_MOST_LINES = 20
"""Maximum number of lines about the missing shards of one run; more are counted in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A result file and what it holds."""

    path: Path
    result: RunResult


def read_parts(places: Iterable[Path]) -> list[Part]:
    """Read every results.json at or below the given places, in the order of their paths.

    Raises `UsageError` for a place without a result file, for the first file that is damaged, and for more than 256 MiB
    in all.
    """
    files: dict[Path, None] = {}
    for place in places:
        found = sorted(_files_below(place)) if place.is_dir() else [place]
        if not found:
            raise UsageError(f"no {RESULT_FILE} in {str(place)!r}", hint="name the --vmlab-report directories of runs")
        # Unlike Path.resolve(), realpath() does not fail for a loop of links; opening the file reports that.
        files |= dict.fromkeys(Path(os.path.realpath(path)) for path in found)
    size = sum(path.stat().st_size for path in files if path.is_file())
    if size > _MOST_BYTES:
        raise UsageError(
            f"the results have {size // 2**20} MiB, expected at most {_MOST_BYTES // 2**20} MiB",
            hint="merge fewer of them at a time",
        )
    return [Part(path=path, result=read_result(path)) for path in files]


def _files_below(place: Path) -> Iterator[Path]:
    """Yield the result files of a directory, not through links; raises `UsageError` if it is too deep."""
    folders = [(str(place), 0)]
    while folders:
        folder, depth = folders.pop()
        if depth > _DEEPEST:
            raise UsageError(f"{str(place)!r} has more than {_DEEPEST} folders in each other", hint="name those below")
        with contextlib.suppress(PermissionError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append((entry.path, depth + 1))
                if entry.name == RESULT_FILE:
                    yield Path(entry.path)


def merge(parts: Sequence[Part], *, targets: Iterable[str] = ()) -> RunResult:
    """Merge several results into one: shards of a run, or runs on different targets. Pure.

    `targets` are the required ones. A missing shard, part of a shard or target is listed in `missing`. Raises
    `UsageError` for results of different versions of vmlab or of the module, a duplicated shard, and a test that two
    files have for one target.
    """
    if not parts:
        raise UsageError("nothing to merge", hint="name the --vmlab-report directories of runs")
    _require_one("vmlab", {part.path: part.result.vmlab for part in parts})
    _require_one("the module", {part.path: part.result.module for part in parts})
    _require_one("the module's sources", {part.path: part.result.source for part in parts})
    missing = [*_missing_shards(parts), *_missing_targets(parts, targets)]
    ordered = sorted(parts, key=lambda part: (part.result.shard.index if part.result.shard else 0, str(part.path)))
    rows = [(part, row) for part in ordered for row in part.result.targets]
    notices = [notice for part in ordered for notice in part.result.notices]
    by_target: dict[str, list[tuple[Part, TargetResult]]] = {}
    for part, row in rows:
        by_target.setdefault(row.target, []).append((part, row))
    joined = []
    for target, same in by_target.items():
        joined.append(TargetResult(target=target, facts=_facts(same), tests=_tests(same)))
        notices += _differences(target, [row.facts for _, row in same])
    first = ordered[0].result
    merged = RunResult(
        schema=SCHEMA,
        vmlab=first.vmlab,
        started=min(part.result.started for part in ordered),
        module=first.module,
        settings=_common([part.result.settings for part in ordered]),
        targets=tuple(joined),
        series=tuple(series for part in ordered for series in part.result.series),
        notices=tuple(dict.fromkeys(notices)),
        source=first.source,
        missing=tuple(dict.fromkeys([*missing, *(line for part in ordered for line in part.result.missing)])),
    )
    check_result(merged, where="the merged result")
    return merged


def _require_one(what: str, words: Mapping[Path, str]) -> None:
    """Raise `UsageError` if the results have different versions."""
    by_word = {word: path for path, word in reversed(list(words.items()))}
    if len(by_word) > 1:
        (one, path), (other, other_path) = sorted(by_word.items())[:2]
        raise UsageError(
            f"cannot merge results of two versions of {what}: {one[:16]!r} in {str(path)!r}, "
            f"{other[:16]!r} in {str(other_path)!r}",
            hint="leave out the results of one version",
        )


def _missing_shards(parts: Sequence[Part]) -> list[str]:
    """Return a line for each missing or incomplete shard of each split run; each target may be a separate run."""
    runs: dict[tuple[str, int], list[tuple[Part, ShardFacts]]] = {}
    for part in parts:
        shard = part.result.shard
        if shard is not None:
            runs.setdefault((shard.run, shard.count), []).append((part, shard))
    missing = []
    for (_, count), shards in runs.items():
        _refuse_twice(shards)
        targets = dict.fromkeys(row.target for part, _ in shards for row in part.result.targets)
        whose = f" of {some(targets)}" if len(runs) > 1 else ""
        there = {shard.index for _, shard in shards}
        gone = [index for index in range(1, count + 1) if index not in there]
        missing += [f"shard {index} of {count}{whose} is missing" for index in gone[:_MOST_LINES]]
        if len(gone) > _MOST_LINES:
            missing.append(f"{len(gone) - _MOST_LINES} more shards of {count}{whose} are missing")
        for part, shard in shards:
            told = sum(len(row.tests) for row in part.result.targets)
            if told < shard.tests:
                missing.append(
                    f"shard {shard.index} of {count}{whose} has results of {told} of its {shard.tests} tests"
                )
    return missing


def _refuse_twice(shards: Sequence[tuple[Part, ShardFacts]]) -> None:
    seen: dict[int, Path] = {}
    for part, shard in shards:
        if shard.index in seen:
            raise UsageError(
                f"shard {shard.index} of {shard.count} is duplicated: "
                f"{str(seen[shard.index])!r} and {str(part.path)!r}",
                hint="leave out one of them",
            )
        seen[shard.index] = part.path


def _missing_targets(parts: Sequence[Part], targets: Iterable[str]) -> list[str]:
    there = {row.target for part in parts for row in part.result.targets}
    return [f"no results of {target}" for target in targets if target not in there]


def _tests(same: Sequence[tuple[Part, TargetResult]]) -> tuple[TestResult, ...]:
    """Return a target's tests of all files. Only shards of one run may have tests of the same short name."""
    holders: dict[str, Part] = {}
    for part, row in same:
        for test in row.tests:
            holder = holders.setdefault(test.test, part)
            if holder is not part and not _are_of_one_run(holder, part):
                raise UsageError(
                    f"{printable(test.test[:_SHOWN])} on {row.target} is duplicated: "
                    f"{str(holder.path)!r} and {str(part.path)!r}",
                    hint="merge runs of different targets, or shards of one run",
                )
    return tuple(test for _, row in same for test in row.tests)


def _are_of_one_run(one: Part, other: Part) -> bool:
    shard, another = one.result.shard, other.result.shard
    return shard is not None and another is not None and (shard.run, shard.count) == (another.run, another.count)


def _facts(same: Sequence[tuple[Part, TargetResult]]) -> TargetFacts | None:
    """Merge a target's facts of all hosts: counts are added, times are those of the first."""
    known = [row.facts for _, row in same if row.facts is not None]
    if not known:
        return None
    return replace(
        known[0],
        boots=sum(facts.boots for facts in known),
        forks=sum(facts.forks for facts in known),
        forks_discarded=sum(facts.forks_discarded for facts in known),
        consoles=tuple(path for facts in known for path in facts.consoles),
    )


def _differences(target: str, known: Iterable[TargetFacts | None]) -> list[str]:
    """Return a line for each fact of one target that differs between hosts: kernel, image, accelerator, compiler."""
    provenances = [facts.provenance for facts in known if facts is not None]
    told = []
    for word, values in (
        ("kernels", [provenance.release for provenance in provenances]),
        ("images", [provenance.image for provenance in provenances]),
        ("accelerators", [provenance.accelerator for provenance in provenances]),
        ("compilers", [provenance.compiler for provenance in provenances if provenance.compiler]),
    ):
        if len(set(values)) > 1:
            told.append(f"{target}: hosts had different {word}: {some(dict.fromkeys(values))}")
    return told


def _common(settings: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the settings that are equal on all hosts."""
    return {
        name: value for name, value in settings[0].items() if all(other.get(name) == value for other in settings[1:])
    }
