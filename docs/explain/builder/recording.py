# SPDX-License-Identifier: MIT
"""Converts a run's files to stored data: without this host's paths and values that change with every run."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from builder.kernels import Experiment, Finding, Kernel, Outcome, Value
from builder.steady import steady
from vmlab.errors import UsageError

_PROCESSES = ("pid", "wrapper", "started", "inside", "outside", "thread")
"""Facts that are process ids: they differ in every run, so no statement can use them."""
_MEASURED = re.compile(r"[\d,]+\.\d{2}")
"""A time as perf prints it; differs in every run."""
_COMPILER = "compiler.kernel"
_REPORTS = {"error": Outcome.FAILED}


def recorded(findings: Path, results: Path, *, host_paths: Sequence[str]) -> list[Kernel]:
    """The kernels of a run, from `pytest --findings` and its results.json.

    `UsageError` when a file is missing or invalid, or when a path of this host remains in it.
    """
    rows, run = _read(findings), _read(results)
    try:
        facts = {row["target"]: row["facts"] for row in run["targets"]}
        kernels = [
            _kernel(target, facts.get(target), [row for row in rows if row["target"] == target], host_paths)
            for target in sorted({row["target"] for row in rows})
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"{findings.name} and {results.name} are not of one run: {error!r}") from None
    if not kernels:
        raise UsageError(f"{findings} holds no experiment", hint="nox -s explain")
    for kernel in kernels:
        _require_no_path(kernel, host_paths)
    return kernels


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"no such file: {path}", hint="nox -s explain makes it") from None
    except ValueError as error:
        raise UsageError(f"{path}: not valid JSON: {error}") from None


def _kernel(target: str, facts: Any, rows: list[Any], host_paths: Sequence[str]) -> Kernel:
    known = facts["provenance"] if facts is not None else None
    release = known["release"] if known is not None else "-"
    experiments = tuple(_experiment(target, row, release, host_paths) for row in rows)
    if known is None:
        return Kernel(target=target, experiments=experiments)
    return Kernel(
        target=target,
        release=release,
        package=known["kernel_package"],
        compiler=known["kernel_compiler"] or _compiler_of(experiments),
        machine=f"QEMU {known['qemu']}, {known['accelerator']}",
        experiments=experiments,
    )


def _compiler_of(experiments: Sequence[Experiment]) -> str:
    """The compiler that the compiler experiment reports: the lab knows it only for a module it built."""
    told = [each.facts.get("text", "") for row in experiments for each in row.findings if each.key == _COMPILER]
    return str(told[0]) if told else ""


def _experiment(target: str, row: Any, release: str, host_paths: Sequence[str]) -> Experiment:
    reason: str = row.get("reason", "")
    for path in host_paths:
        # A failure's message may name a file of this checkout.
        reason = reason.replace(f"{path}/", "")
    outcome = _REPORTS.get(row["outcome"]) or Outcome(row["outcome"])
    return Experiment(
        test=_without_target(row["test"], target),
        outcome=outcome,
        reason=steady(reason)[0],
        findings=tuple(_finding(each, release) for each in row["findings"]) if outcome is Outcome.PASSED else (),
    )


def _finding(row: Any, release: str) -> Finding:
    texts = {name: value for name, value in row["facts"].items() if isinstance(value, str)}
    processes = {name: value for name, value in row["facts"].items() if name in _PROCESSES}
    command, output, *values = steady(row["command"], row["output"], *texts.values(), processes=processes.values())
    facts: dict[str, Value] = {
        name: value
        for name, value in {**row["facts"], **dict(zip(texts, values, strict=True))}.items()
        if name not in processes and not (isinstance(value, str) and _MEASURED.fullmatch(value))
    }
    # Makes the command usable on any kernel.
    return Finding(key=row["key"], command=command.replace(release, "$(uname -r)"), output=output, facts=facts)


def _without_target(test: str, target: str) -> str:
    name, bracket, parameters = test.partition("[")
    rest = re.sub(rf"(^|-){re.escape(target)}(?=-|\]|$)", "", parameters.removesuffix("]")).strip("-")
    return f"{name}[{rest}]" if bracket and rest else name


def _require_no_path(kernel: Kernel, host_paths: Sequence[str]) -> None:
    for row in kernel.experiments:
        texts = [text for each in row.findings for text in (each.command, each.output)]
        texts += [str(value) for each in row.findings for value in each.facts.values()]
        for path in host_paths:
            if any(path in text for text in texts):
                raise UsageError(f"{kernel.target}: {row.test} shows a path of this host, {path!r}")
