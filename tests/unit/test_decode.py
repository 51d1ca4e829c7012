# SPDX-License-Identifier: MIT
"""Data written by people is decoded strictly, and every mistake gets a one-line error."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Flat:
    name: str
    ratio: float
    fruit: Fruit = Fruit.PEAR


@dataclass(frozen=True, slots=True, kw_only=True)
class Basket:
    flat: tuple[Flat, ...]


def test_many_records_are_what_each_would_be_by_itself() -> None:
    rows = [{"name": f"n{number}", "ratio": number, "fruit": "apple"} for number in range(3)]
    made = structure({"flat": rows}, Basket, where="here").flat
    assert made == tuple(Flat(name=f"n{number}", ratio=float(number), fruit=Fruit.APPLE) for number in range(3))
    assert all(type(row.ratio) is float and type(row.fruit) is Fruit and hash(row) for row in made)
    with pytest.raises(AttributeError):
        made[0].name = "other"  # type: ignore[misc]
    assert structure({"flat": [*rows, {"name": "short", "ratio": 0.5}]}, Basket, where="here").flat == (
        *made,
        Flat(name="short", ratio=0.5),
    )
    assert structure({"flat": []}, Basket, where="here").flat == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ratio": "1"}, "flat[2].ratio: expected float, got '1'"),
        ({"ratio": True}, "flat[2].ratio: expected float, got True"),
        ({"name": 3}, "flat[2].name: expected str, got 3"),
        ({"fruit": "appel"}, "flat[2].fruit: unknown word 'appel'"),
        ({"fruit": ["apple"]}, "flat[2].fruit: expected str, got ['apple']"),
        ({"size": 1}, "flat[2].size: unknown key"),
    ],
)
def test_the_one_of_many_that_is_wrong_is_found(change: dict[str, object], words: str) -> None:
    rows: list[dict[str, object]] = [{"name": "a", "ratio": 1.5, "fruit": "apple"} for _ in range(4)]
    rows[2] |= change
    with pytest.raises(UsageError) as caught:
        structure({"flat": rows}, Basket, where="rows.json")
    assert caught.value.message == f"rows.json: {words}"


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


def test_a_directory_in_place_of_a_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read '.*': Is a directory"):
        read_toml(tmp_path)
