# SPDX-License-Identifier: MIT
"""`vmlab report`: merges and prints the result files of finished runs."""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vmlab.commands.command_line import CATALOGUE, CommandParser, Commands
from vmlab.errors import UsageError
from vmlab.settings import Settings
from vmlab.system.files import is_file
from vmlab.system.output import inert, say, say_json, warn, write

if TYPE_CHECKING:
    from vmlab.report.merge import Part
    from vmlab.report.model import RunResult, TestResult


def add_commands(commands: Commands) -> None:
    """Add the command and its actions."""
    report = commands.group("report", "merge results and convert them")
    read = ("report",)
    merge = report.add(
        "merge",
        _merge,
        "merge the results of several hosts and report missing shards",
        settings=(*read, *CATALOGUE),
    )
    _places(merge)
    merge.add_argument("--out", type=Path, metavar="DIR", help="the directory to write (default: --vmlab-report)")
    _places(report.add("summary", _summary, "print results as Markdown", settings=read))
    annotate = report.add("annotate", _annotate, "print annotations for GitHub Actions", settings=(*read, "module"))
    _places(annotate)
    _places(report.add("outputs", _outputs, "print the outputs of a GitHub Actions step", settings=read))
    durations = report.add("durations", _durations, "record test durations, to balance later shards", settings=read)
    _places(durations)
    durations.add_argument("--out", type=Path, metavar="FILE", required=True, help="the file to write")
    report.add("schema", _schema, "print the JSON Schema of results.json")


def _places(parser: CommandParser) -> None:
    text = "report directories, their parents, or result files"
    parser.add_argument("places", nargs="*", default=[], type=Path, metavar="DIR", help=text)


def _merge(chosen: argparse.Namespace, settings: Settings) -> int:
    from vmlab.machine.registry import kept_machines
    from vmlab.report.files import write_result
    from vmlab.report.kept import without_ended
    from vmlab.report.measured import measured_lines, shown_path
    from vmlab.report.merge import merge, read_parts

    if not chosen.places:
        raise UsageError("nothing to merge", hint="name the --vmlab-report directories of the runs")
    with _without_collector():
        parts = read_parts(chosen.places)
        if chosen.out is None:
            _require_merged(settings.report, parts)
        result = merge(parts, targets=_demanded(settings))
        kept = [record.name for record in kept_machines()]
        result = replace(result, notices=without_ended(result.notices, kept=kept))
        path = write_result(result, chosen.out or settings.report)
    _show(result)
    for line in measured_lines(result.series, report=shown_path(path.parent.absolute())):
        say(line)
    say(f"results: {path}")
    for line in result.missing:
        warn(f"vmlab: {line}")
    return result.status


def _require_merged(report: Path, parts: Sequence[Part]) -> None:
    """Raise `UsageError` if the default report directory has results that are not part of the merge."""
    from vmlab.report.files import RESULT_FILE

    path = report / RESULT_FILE
    if path.exists() and Path(os.path.realpath(path)) not in {part.path for part in parts}:
        raise UsageError(
            f"{str(path)!r} has other results, which a merge would replace",
            hint="name another directory: --out DIR",
        )


def _summary(chosen: argparse.Namespace, settings: Settings) -> int:
    from vmlab.report.markdown import summary
    from vmlab.report.merge import read_parts

    for part in read_parts(chosen.places or [settings.report]):
        say(summary(part.result))
    return 0


def _annotate(chosen: argparse.Namespace, settings: Settings) -> int:
    from vmlab.report.github import annotate
    from vmlab.report.merge import read_parts

    for part in read_parts(chosen.places or [settings.report]):
        module = _module_of(part.result.settings.get("module", ""), settings)
        workspace = os.environ.get("GITHUB_WORKSPACE", "")
        directory = os.path.relpath(module, _checkout(module, workspace))
        root = os.path.relpath(Path.cwd(), _checkout(Path.cwd(), workspace))
        for line in annotate(_with_places_here(part.result), directory=directory, root=root):
            write(f"{line}\n")
    return 0


def _with_places_here(result: RunResult) -> RunResult:
    """Return a result without the lines of tests that are not below this directory: pytest ran in another one."""

    def kept(test: TestResult) -> TestResult:
        return test if is_file(Path(test.place.rpartition(":")[0] or ".")) else replace(test, place="")

    return replace(result, targets=tuple(replace(row, tests=tuple(map(kept, row.tests))) for row in result.targets))


def _module_of(recorded: str, settings: Settings) -> Path:
    """Return the module that the settings name, else the run's own (`PATH (ORIGIN)`) if that directory exists."""
    was = Path(recorded.rpartition(" (")[0])
    return was if settings.origin["module"] == "default" and was.name and was.is_dir() else settings.module


def _checkout(module: Path, workspace: str) -> Path:
    """Return the repository that annotation paths must be relative to. The runner only relates paths to the workspace
    (ProcessCommand() in actions/runner's ActionCommandManager.cs), which is not the repository where actions/checkout
    was given a `path`."""
    if not workspace:
        return Path()
    there = module.absolute()
    inside = [place for place in (there, *there.parents) if place.is_relative_to(workspace)]
    # A submodule's .git is a file: annotations belong to the enclosing repository.
    return next((place for place in inside if (place / ".git").is_dir()), Path(workspace))


def _outputs(chosen: argparse.Namespace, settings: Settings) -> int:
    from vmlab.report.github import outputs
    from vmlab.report.merge import merge, read_parts

    for name, value in outputs(merge(read_parts(chosen.places or [settings.report]))).items():
        say(f"{name}={value}")
    return 0


def _durations(chosen: argparse.Namespace, settings: Settings) -> int:
    from vmlab.report.durations import durations_of, write_durations
    from vmlab.report.merge import read_parts

    durations = durations_of([part.result for part in read_parts(chosen.places or [settings.report])])
    write_durations(durations, chosen.out)
    say(f"{sum(len(row.tests) for row in durations.targets.values())} durations: {chosen.out}")
    return 0


def _schema(chosen: argparse.Namespace, settings: Settings) -> int:
    from vmlab.report.schema import result_schema

    del chosen, settings
    say_json(result_schema())
    return 0


def _demanded(settings: Settings) -> list[str]:
    """Return the ids of the targets that a merged result must contain: those that --vmlab-target names, if given."""
    if settings.origin["target"] == "default":
        return []
    from vmlab.lab.lab import Lab

    return [target.id for target in Lab(settings).targets]


def _show(result: RunResult) -> None:
    from vmlab.report.console import screen
    from vmlab.report.terminal import render

    width, is_color = screen()
    write(inert(render(result, width=width, color=is_color)))


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """Disable Python's garbage collector, which would scan a hundred thousand records, none of them in a cycle."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
