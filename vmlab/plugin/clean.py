# SPDX-License-Identifier: MIT
"""Make a test's report and its warnings printable: a guest's output is in its reason, its sections and its captured
output. On GitHub's runners, which execute commands in what a step prints, none of it is a command."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from vmlab.plugin.account import ATTRIBUTE
from vmlab.system.output import inert
from vmlab.text import encodable, printable_lines

_DEEPEST = 12


def clean_report(report: pytest.TestReport) -> None:
    """Make all text of a report printable, before pytest shows it or pytest-xdist sends it. Colours are removed too:
    those of an assertion's difference, and of text that a test printed."""
    report.sections = [(_shown(name), _shown(text)) for name, text in report.sections]
    report.user_properties = [(name, _clean(value, 0)) for name, value in report.user_properties]
    report.longrepr = _clean(report.longrepr, 0)
    if hasattr(report, ATTRIBUTE):
        setattr(report, ATTRIBUTE, _clean(getattr(report, ATTRIBUTE), 0))


@pytest.hookimpl(tryfirst=True)
def pytest_warning_recorded(warning_message: warnings.WarningMessage) -> None:
    """Make a warning's text printable, before pytest shows it or pytest-xdist sends it. Its category stays."""
    text = str(warning_message.message)
    if (shown := _shown(text)) != text:
        warning_message.message = UserWarning(shown)


def clean_line(config: pytest.Config, text: str) -> str:
    """Return text for pytest's terminal: printable, in the encoding of its output. pytest would show a text that lacks
    one character in escapes, line breaks too."""
    return shown_by(config, printable_lines(text))


def shown_by(config: pytest.Config, text: str) -> str:
    """Return text that is printable already, and may have colours, in the encoding of pytest's terminal."""
    return command_line(config, inert(text))


def command_line(config: pytest.Config, text: str) -> str:
    """Return a command to GitHub's runner, which is printable, in the encoding of pytest's terminal."""
    file = getattr(config.get_terminal_writer(), "_file", None)
    return encodable(text, getattr(file, "encoding", None) or "utf-8")


def _shown(text: str) -> str:
    return inert(printable_lines(text))


def _clean(value: Any, depth: int) -> Any:
    """Return a value with all strings in it made printable. The objects of a traceback are changed in place: pytest has
    a class for each style (`_pytest._code.code`), all with plain attributes."""
    if isinstance(value, str):
        return _shown(value)
    if depth == _DEEPEST:
        return value
    if type(value) in (list, tuple):
        return type(value)(_clean(inner, depth + 1) for inner in value)
    if type(value) is dict:
        return {name: _clean(inner, depth + 1) for name, inner in value.items()}
    if type(value).__module__.startswith("_pytest."):
        for name, inner in vars(value).items():
            object.__setattr__(value, name, _clean(inner, depth + 1))
    return value
