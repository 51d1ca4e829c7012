# SPDX-License-Identifier: MIT
"""TOML files that a repository brings along, and that take the lab's time or memory or end it with a traceback."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vmlab.decode import read_toml
from vmlab.errors import UsageError
from vmlab.settings import load_settings

_TEXTS = {
    "lists": "a = " + "[" * 5000 + "]" * 5000,
    "tables": "a = " + "{a=" * 3000 + "1" + "}" * 3000,
    "digits": "a = " + "1" * 5000,
    "digits-in-base-16": "a = 0x" + "f" * 5000,
    "digits-in-a-list": "a = [{b = [0x" + "f" * 5000 + "]}]",
    "dots": ".".join("a" * 20_000) + " = 1",
    "dots-in-a-table": "a = {" + ".".join("a" * 20_000) + " = 1}",
    "dots-and-quotes": " . ".join(["'a'", '"b"'] * 10_000) + " = 1",
    "dotted-keys-of-some-length": "".join(f"{'a.' * 40}b{number} = 1\n" for number in range(10_000)),
    "one-word": "a" * 1_000_000,
    "one-string": '"' * 1_000_000,
    "spaces": "a" + " " * 1_000_000,
    "a-megabyte-more": "#" * 2_000_000,
    "utf-16": "\ufeffa\0",
}


@pytest.fixture(autouse=True)
def _little_memory() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def _refusal(path: Path) -> str:
    start = time.monotonic()
    with pytest.raises(UsageError) as caught:
        read_toml(path)
    assert time.monotonic() - start < 3
    assert len(caught.value.one_line) < 400
    assert "\n" not in caught.value.one_line
    return caught.value.one_line


@pytest.mark.parametrize("name", _TEXTS)
def test_a_file_that_is_hard_to_parse_is_refused_in_a_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / "lock.toml"
    path.write_text(_TEXTS[name])

    assert str(path) in _refusal(path)


def test_only_a_regular_file_of_a_megabyte_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "zero").symlink_to("/dev/zero")
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(4 * 2**30)

    assert "not a regular file" in _refusal(tmp_path / "fifo")
    assert "not a regular file" in _refusal(tmp_path / "zero")
    assert "has 4096 MiB, expected at most 1 MiB" in _refusal(tmp_path / "sparse")


def test_the_number_of_a_project_is_refused_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.vmlab]\ncpus = 0x{'f' * 5000}\n")

    with pytest.raises(UsageError, match="an integer of 20000 bits"):
        load_settings({}, directory=tmp_path, environment={})


def test_long_lines_and_names_with_dots_are_read(tmp_path: Path) -> None:
    words = [f"word{number}" for number in range(5000)]
    (tmp_path / "a.toml").write_text(f"a.b.'c.d' = {words}\r\nversion = '1.2.3'\ntext = '{'It is the end. ' * 200}'\n")

    assert read_toml(tmp_path / "a.toml")["a"]["b"]["c.d"] == words
