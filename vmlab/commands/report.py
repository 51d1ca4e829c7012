# SPDX-License-Identifier: MIT
"""`vmlab report`: what is done with result files after the runs that wrote them. No logic of its own."""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from vmlab.errors import UsageError
from vmlab.settings import Settings

Command = Callable[..., argparse.ArgumentParser]


def add_report_commands(command: Command) -> None:
    """Make `report` and its actions known; `command` makes one of vmlab's commands."""
    report = command("report", _report, "join results, and hand them on: merge, summary, annotate, …")
    report.add_argument("action", metavar="ACTION", choices=tuple(_ACTIONS), help="one of %(choices)s")
    report.add_argument(
        "places",
        nargs="*",
        default=[],
        type=Path,
        metavar="DIR",
        help="report directories, or those that hold them; or files",
    )
    report.add_argument("--out", type=Path, metavar="PATH", help="merge: the directory, durations: the file to write")


def _report(chosen: argparse.Namespace, settings: Settings) -> int:
    return _ACTIONS[chosen.action](chosen, settings)


def _merge(chosen: argparse.Namespace, settings: Settings) -> int:
    from vmlab.report.files import write_result
    from vmlab.report.measured import measured_lines, shown_path
    from vmlab.report.merge import merge, read_parts

    with _without_collector():
        result = merge(read_parts(_places(chosen, settings)), targets=_demanded(settings))
        path = write_result(result, chosen.out or settings.report)
    _show(result)
    for line in measured_lines(result.series, report=shown_path(path.parent.absolute())):
        print(line)
    print(f"results: {path}")
    for line in result.missing:
        print(f"vmlab: {line}", file=sys.stderr)
    return result.status


def _summary(chosen: argparse.Namespace, settings: Settings) -> int:
    from vmlab.report.markdown import summary
    from vmlab.report.merge import read_parts

    for part in read_parts(_places(chosen, settings)):
        print(summary(part.result))
    return 0


def _annotate(chosen: argparse.Namespace, settings: Settings) -> int:
    from vmlab.report.github import annotate
    from vmlab.report.merge import read_parts

    for part in read_parts(_places(chosen, settings)):
        module = _module_of(part.result.settings.get("module", ""), settings)
        directory = os.path.relpath(module, _checkout(module, os.environ.get("GITHUB_WORKSPACE", "")))
        for line in annotate(part.result, directory=directory):
            print(line)
    return 0


def _module_of(recorded: str, settings: Settings) -> Path:
    """The module that is named now, or else the one that the run was of, `PATH (ORIGIN)`, if it lies there."""
    was = Path(recorded.rpartition(" (")[0])
    return was if settings.origin["module"] == "default" and was.name and was.is_dir() else settings.module


def _checkout(module: Path, workspace: str) -> Path:
    """What an annotation's path is to be relative to: the repository. Nothing but a path below the workspace is made so
    by the runner (ProcessCommand() in actions/runner's ActionCommandManager.cs), and that is not the repository where
    actions/checkout was given a `path`."""
    if not workspace:
        return Path()
    there = module.absolute()
    inside = [place for place in (there, *there.parents) if place.is_relative_to(workspace)]
    # In a submodule it is a file: annotations stand in the repository that the run is of.
    return next((place for place in inside if (place / ".git").is_dir()), Path(workspace))


def _outputs(chosen: argparse.Namespace, settings: Settings) -> int:
    from vmlab.report.github import outputs
    from vmlab.report.merge import merge, read_parts

    for name, value in outputs(merge(read_parts(_places(chosen, settings)))).items():
        print(f"{name}={value}")
    return 0


def _durations(chosen: argparse.Namespace, settings: Settings) -> int:
    from vmlab.report.durations import durations_of, write_durations
    from vmlab.report.merge import read_parts

    if chosen.out is None:
        raise UsageError("durations are written to a file", hint="--out durations.json")
    durations = durations_of([part.result for part in read_parts(_places(chosen, settings))])
    write_durations(durations, chosen.out)
    print(f"{sum(len(row.tests) for row in durations.targets.values())} durations: {chosen.out}")
    return 0


def _schema(chosen: argparse.Namespace, settings: Settings) -> int:
    from vmlab.report.schema import result_schema

    del chosen, settings
    print(json.dumps(result_schema(), indent=1))
    return 0


_ACTIONS: dict[str, Callable[[argparse.Namespace, Settings], int]] = {
    "merge": _merge,
    "summary": _summary,
    "annotate": _annotate,
    "outputs": _outputs,
    "durations": _durations,
    "schema": _schema,
}


def _places(chosen: argparse.Namespace, settings: Settings) -> list[Path]:
    places: list[Path] = chosen.places
    if not places and chosen.action == "merge":
        raise UsageError("nothing to merge", hint="name the --vmlab-report directories of the runs")
    return places or [settings.report]


def _demanded(settings: Settings) -> list[str]:
    """The targets that a merged result must have: those that were named, if any were."""
    if settings.origin["target"] == "default":
        return []
    from vmlab.lab.lab import Lab

    return [target.id for target in Lab(settings).targets]


def _show(result: object) -> None:
    from rich.console import Console

    from vmlab.report.model import RunResult
    from vmlab.report.terminal import render

    assert isinstance(result, RunResult)
    console = Console()
    print(render(result, width=console.width if console.is_terminal else 170, color=console.is_terminal), end="")


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """Python's collector would walk a hundred thousand records again and again, and none of them is in a cycle."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
