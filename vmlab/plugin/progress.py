# SPDX-License-Identifier: MIT
"""The lab's progress while a test waits, shown in pytest's output."""

from __future__ import annotations

import contextlib
import sys

import pytest

from vmlab.context import Say
from vmlab.plugin.clean import clean_line
from vmlab.system.progress import Progress
from vmlab.text import encodable, printable


def show_progress(config: pytest.Config) -> Say:
    """Return a function that shows progress: a few updates a second on a terminal, one line per step on a pipe."""
    if hasattr(config, "workerinput"):
        return Progress(_WorkerOutput(config).show, is_terminal=lambda: False)
    writer = config.get_terminal_writer
    return Progress(_Output(config).show, is_terminal=lambda: bool(writer().hasmarkup))


class _Output:
    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def show(self, text: str, is_same_step: bool) -> None:
        """Write a line into pytest's output; replaces the last line if the step is the same."""
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is None or self._config.option.verbose < 0:
            return
        text = clean_line(self._config, text)
        end = "" if self._config.get_terminal_writer().hasmarkup else "\n"
        with _uncaptured(self._config):
            if is_same_step:
                reporter.rewrite(f"  {text}", erase=True)
            else:
                reporter.ensure_newline()
                reporter.write(f"  {text}{end}", flush=True)


class _WorkerOutput:
    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def show(self, text: str, is_same_step: bool) -> None:
        """Write to standard error, which xdist's workers share with the controller."""
        del is_same_step
        stream = sys.__stderr__
        if stream is not None:
            with _uncaptured(self._config), contextlib.suppress(OSError):
                stream.write(f"  {encodable(printable(text), stream.encoding)}\n")
                stream.flush()


def _uncaptured(config: pytest.Config) -> contextlib.AbstractContextManager[None]:
    """Disable pytest's output capture, also during a test."""
    capture = config.pluginmanager.get_plugin("capturemanager")
    return capture.global_and_fixture_disabled() if capture else contextlib.nullcontext()
