# SPDX-License-Identifier: MIT
"""The zoo's table: the lab's verdict on each bad module, by kernel and boot."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.table import Table

_WIDTH = 220
_PLUGIN = "vmlab-zoo-table"


class _Collector:
    def __init__(self) -> None:
        self.cells: dict[tuple[str, str], str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Receives workers' reports too."""
        properties = dict(report.user_properties)
        if "zoo.fault" in properties:
            key = (str(properties["zoo.fault"]), str(properties["zoo.target"]))
            self.cells[key] = str(properties["zoo.cell"])

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.cells:
            terminalreporter.section("the zoo")
            terminalreporter.write(_table(self.cells))


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and not config.pluginmanager.has_plugin(_PLUGIN):
        config.pluginmanager.register(_Collector(), _PLUGIN)


def _table(cells: dict[tuple[str, str], str]) -> str:
    targets = sorted({target for _, target in cells})
    table = Table(box=None, pad_edge=False)
    table.add_column("fault")
    for target in targets:
        table.add_column(target)
    for fault in dict.fromkeys(fault for fault, _ in sorted(cells)):
        table.add_row(fault, *(cells.get((fault, target), "-") for target in targets))
    words = list(cells.values())
    wrong = sum(word.startswith("WRONG") for word in words)
    unseen = sum(word.startswith("not visible") for word in words)
    stream = io.StringIO()
    console = Console(file=stream, width=_WIDTH)
    console.print(table)
    console.print(f"{len(words) - wrong - unseen} right, {unseen} not visible on their kernel, {wrong} wrong")
    return stream.getvalue()
