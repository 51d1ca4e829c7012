# SPDX-License-Identifier: MIT
"""The text of a setting is parsed into its value, or refused with the expected format."""

from __future__ import annotations

import pytest

from vmlab.settings import Shard
from vmlab.settings.parse import Invalid, optional_shard


@pytest.mark.parametrize(("text", "index", "count"), [("1/1", 1, 1), ("3/8", 3, 8), ("100/100", 100, 100)])
def test_a_shard_is_read_as_it_is_written(text: str, index: int, count: int) -> None:
    assert optional_shard(text) == Shard(index=index, count=count)
    assert str(optional_shard(text)) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0/4", "must be between 1/4 and 4/4"),
        ("5/4", "must be between 1/4 and 4/4"),
        ("1/0", "must have 1 to 10000 shards"),
        ("1/99999", "must have 1 to 10000 shards"),
        ("-1/4", "such as 3/8"),
        ("1", "such as 3/8"),
        ("1/2/3", "such as 3/8"),
        ("1/ 2", "such as 3/8"),
        ("a/b", "such as 3/8"),
        ("١/٢", "such as 3/8"),
        ("9999999/9999999", "such as 3/8"),
    ],
)
def test_an_invalid_shard_is_told_why(text: str, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        optional_shard(text)


def test_no_text_is_no_shard() -> None:
    assert optional_shard("") is None
