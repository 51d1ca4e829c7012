# SPDX-License-Identifier: MIT
"""Data that people write is decoded strictly, and every mistake in it is told in one line."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pytest

from vmlab.decode import read_toml, structure, unstructure
from vmlab.errors import UsageError


class Fruit(StrEnum):
    APPLE = "apple"
    PEAR = "pear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    name: str
    size: int = 0
    is_ripe: bool = False
    fruit: Fruit = Fruit.APPLE
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    row: tuple[Row, ...] = ()
    path: Path = Path()
    ratio: float | None = None


def _refusal(data: object) -> UsageError:
    with pytest.raises(UsageError) as caught:
        structure(data, Sheet, where="rows.toml")
    assert "\n" not in str(caught.value)
    return caught.value


def test_an_unknown_key_is_named_with_its_file_and_the_nearest_key() -> None:
    error = _refusal({"row": [{"name": "a"}, {"name": "b", "siez": 1}]})
    assert error.message == "rows.toml: row[1].siez: unknown key"
    assert error.hint == "did you mean 'size'?"


def test_a_missing_key_is_named() -> None:
    error = _refusal({"row": [{"size": 1}]})
    assert error.message.startswith("rows.toml: row[0]")
    assert "name" in error.message
    assert error.message.endswith("this key is missing")


def test_an_unknown_word_is_named_with_the_nearest() -> None:
    error = _refusal({"row": [{"name": "a", "fruit": "paer"}]})
    assert error.message == "rows.toml: row[0].fruit: unknown word 'paer'"
    assert error.hint == "did you mean 'pear'?"


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("name", 6.1, "expected str, got 6.1"),
        ("size", "3", "expected int, got '3'"),
        ("size", True, "expected int, got True"),
        ("size", 3.0, "expected int, got 3.0"),
        ("is_ripe", 1, "expected bool, got 1"),
        ("is_ripe", "yes", "expected bool, got 'yes'"),
    ],
)
def test_a_value_of_another_type_is_refused_and_never_coerced(key: str, value: object, expected: str) -> None:
    error = _refusal({"row": [{"name": "a", key: value}]})
    assert error.message == f"rows.toml: row[0].{key}: {expected}"


def test_a_word_inside_a_list_is_found() -> None:
    assert _refusal({"row": [{"name": "a", "words": ["x", 2]}]}).message == (
        "rows.toml: row[0].words[1]: expected str, got 2"
    )


@pytest.mark.parametrize("data", [[], "text", 3, None, {"row": 3}, {"row": [3]}])
def test_a_wrong_shape_is_one_line(data: object) -> None:
    assert _refusal(data).message.startswith("rows.toml")


def test_a_record_survives_the_round_trip() -> None:
    sheet = Sheet(row=(Row(name="a", fruit=Fruit.PEAR, words=("x", "y")),), path=Path("/a/b"), ratio=0.5)
    plain = unstructure(sheet)
    assert plain["row"][0]["fruit"] == "pear"
    assert plain["path"] == "/a/b"
    assert structure(plain, Sheet, where="here") == sheet


def test_malformed_toml_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("a = 1\nb = = 2\n")
    with pytest.raises(UsageError, match="line 2") as caught:
        read_toml(path)
    assert str(path) in caught.value.message


def test_a_file_that_is_not_there_and_one_that_is_no_text_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_toml(tmp_path / "none.toml")
    (tmp_path / "raw.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not valid TOML"):
        read_toml(tmp_path / "raw.toml")
