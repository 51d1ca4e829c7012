# SPDX-License-Identifier: MIT
"""Each command and option named in a document or a message exists in vmlab."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from unit.named_commands import (
    ROOT,
    commands_of_document,
    commands_of_message,
    documents,
    messages,
    options_of,
    told,
    words_of,
)
from vmlab.commands import main as cli
from vmlab.commands.command_line import CommandParser, parse
from vmlab.errors import UsageError
from vmlab.settings import SETTINGS

_MODULES = sorted((ROOT / "vmlab").rglob("*.py"))
_PARSER = cli.command_parser()
_INCOMPLETE = ("arguments are required", " needs ")
# Options of other programs that messages name.
_OTHERS = {
    "--performance-monitoring-unit": "gcloud",
    "--add-subuids": "usermod",
    "--add-subgids": "usermod",
    "--no-install-recommends": "apt-get",
    "--file": "journalctl",
}


def _wrong(command: str) -> str:
    """vmlab's error for a command line; empty when it is valid."""
    try:
        parse(_PARSER, words_of(command))
    except SystemExit:
        return ""  # --help
    except UsageError as error:
        # A message may name a command without its arguments.
        return "" if any(word in error.message for word in _INCOMPLETE) else f"vmlab {command}: {error}"
    return ""


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_every_command_in_a_document_is_taken(path: Path) -> None:
    commands = list(commands_of_document(path.read_text(encoding="utf-8")))

    assert [wrong for command in commands if (wrong := _wrong(command))] == []


def test_every_command_in_a_message_is_taken() -> None:
    named = [
        (f"{path.relative_to(ROOT)}:{line}", command)
        for path in _MODULES
        for line, text in messages(path)
        for command in commands_of_message(text)
    ]

    assert len(named) > 30
    assert [(place, wrong) for place, command in named if (wrong := _wrong(command))] == []


def test_every_option_in_a_message_is_one() -> None:
    known = {*_options(), *_OTHERS}
    named = [
        (f"{path.relative_to(ROOT)}:{line}", option)
        for path in _MODULES
        for line, text in told(path)
        for option in options_of(text)
    ]

    assert len(named) > 30
    assert [(place, option) for place, option in named if option not in known] == []


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_every_setting_in_a_document_is_one(path: Path) -> None:
    known = {setting.option for setting in SETTINGS}
    named = set(re.findall(r"--vmlab-[a-z-]*[a-z]", path.read_text(encoding="utf-8")))

    assert named - known == set()


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_every_session_in_a_document_is_one(path: Path) -> None:
    sessions = set(re.findall(r"^@nox\.session.*\ndef (\w+)", (ROOT / "noxfile.py").read_text(), re.MULTILINE))

    assert set(re.findall(r"nox -s (\w+)", path.read_text(encoding="utf-8"))) - sessions == set()


@pytest.mark.parametrize(
    "command", ["images remove debian12-6.1", "doctor --jsn", "shel debian12-6.1", "report join DIR"]
)
def test_a_command_that_vmlab_does_not_have_is_found(command: str) -> None:
    (found,) = commands_of_document(f"Type `vmlab {command}` first.")
    (told,) = commands_of_message(f"something is missing; `vmlab {command}` helps")

    assert found == told == command
    assert _wrong(command)


def _options() -> set[str]:
    commands: list[CommandParser] = [parse(_PARSER, words).parser for words in _ONE_OF_EACH]
    return {option for command in (_PARSER, *commands) for option in command.options}


_ONE_OF_EACH = (
    ["targets"],
    ["doctor"],
    ["log"],
    ["setup"],
    ["shell", "x"],
    ["symbols", "x"],
    ["reap"],
    ["images", "prune"],
    ["images", "try"],
    ["time", "x"],
    ["compare", "a", "b"],
    ["series", "a"],
    ["plot", "a"],
    ["report", "merge"],
)
