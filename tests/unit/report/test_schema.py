# SPDX-License-Identifier: MIT
"""The published schema accepts the same files as vmlab, and follows every change of the model."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from vmlab.errors import UsageError
from vmlab.report.files import result_from, result_text
from vmlab.report.model import SCHEMA, Outcome, ShardFacts
from vmlab.report.schema import result_schema
from vmlab.timing.series import Point, Series, TimingSource, Unit

from .results import facts, row, run

PUBLISHED = Path(__file__).parents[3] / "docs" / "results.schema.json"
_VALIDATOR = jsonschema.Draft202012Validator(result_schema())


def _whole() -> dict[str, Any]:
    """A result with a value in every field."""
    points = (Point(n=1, samples=(1.0, 2.5)),)
    series = Series(
        name="fib",
        target="debian12-6.1",
        source=TimingSource.CLOCK,
        unit=Unit.NS,
        points=points,
        provenance=facts().provenance,
    )
    tests = [(str(outcome), outcome, "why") for outcome in Outcome]
    result = replace(
        run(row(*tests, known=facts()), row(target="x"), notices=("n",)),
        series=(series,),
        shard=ShardFacts(index=1, count=2, run="a", tests=3),
        missing=("shard 2 of 2 is missing",),
        source="f" * 64,
    )
    data: dict[str, Any] = json.loads(result_text(result))
    return data


def _damaged(data: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """The whole result with one fault at a time: a value of another type, an unknown key or a missing one."""
    whole = _whole()

    def changed(value: Any, *, is_gone: bool = False) -> Any:
        copied = copy.deepcopy(whole)
        if not path:
            return value
        parent: Any = copied
        for key in path[:-1]:
            parent = parent[key]
        if is_gone:
            del parent[path[-1]]
        else:
            parent[path[-1]] = value
        return copied

    for wrong in (None, True, 1, 1.5, "text", [], {}, ["text"], {"colour": "red"}):
        if type(wrong) is not type(data):
            yield path, changed(wrong)
    if isinstance(data, dict):
        yield (*path, "colour"), changed({**data, "colour": "red"})
        for key, value in data.items():
            yield from _damaged(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data[:1]):
            yield from _damaged(value, (*path, index))
    if path and isinstance(path[-1], str):
        yield path, changed(None, is_gone=True)


def _is_taken(data: Any) -> bool:
    try:
        result_from(data, where="x")
    except UsageError as error:
        # A multi-line error counts as accepted, which the schema would have to match.
        return "\n" in str(error)
    return True


def test_what_vmlab_writes_is_what_the_schema_says() -> None:
    jsonschema.Draft202012Validator.check_schema(result_schema())
    _VALIDATOR.validate(_whole())
    _VALIDATOR.validate(json.loads(result_text(run())))


def test_vmlab_takes_what_the_schema_takes_and_nothing_else() -> None:
    tried = list(_damaged(_whole()))
    assert len(tried) > 400
    told = {str(path): (_VALIDATOR.is_valid(data), _is_taken(data)) for path, data in tried}
    assert {path: pair for path, pair in told.items() if pair[0] != pair[1]} == {}
    assert {pair[0] for pair in told.values()} == {True, False}


def test_the_published_schema_is_the_models() -> None:
    # Update with `vmlab report schema >docs/results.schema.json`; increase SCHEMA when a field changes or is removed.
    assert json.loads(PUBLISHED.read_text(encoding="utf-8")) == json.loads(json.dumps(result_schema()))
    assert result_schema()["properties"]["schema"] == {"enum": [1, 2, SCHEMA]}


@pytest.mark.parametrize("schema", [0, 4, "1", None, True])
def test_another_version_is_against_it(schema: object) -> None:
    assert not _VALIDATOR.is_valid(_whole() | {"schema": schema})
