# SPDX-License-Identifier: MIT
"""The result file's JSON Schema, made from the model, for programs that read the file and are not vmlab."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from vmlab.report.model import READABLE, RunResult

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_WORDS: Mapping[object, dict[str, Any]] = {
    str: {"type": "string"},
    # 3.0 is an integer to JSON Schema and none to the model; no program writes one so.
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
}


def result_schema() -> dict[str, Any]:
    """The schema of results.json, as JSON: an unknown key, a missing one and another kind of value are against it."""
    definitions: dict[str, Any] = {}
    _refer(RunResult, definitions)
    root = definitions.pop(RunResult.__name__)
    root["properties"]["schema"] = {"enum": list(READABLE)}
    return {"$schema": _DIALECT, "title": "vmlab results", **root, "$defs": dict(sorted(definitions.items()))}


def _refer(kind: type, definitions: dict[str, Any]) -> dict[str, Any]:
    """A reference to a record, defined when it is met first."""
    if kind.__name__ not in definitions:
        definitions[kind.__name__] = {}  # so that a record may hold its own kind
        hints = typing.get_type_hints(kind)
        fields = dataclasses.fields(kind)
        definitions[kind.__name__] = {
            "description": (kind.__doc__ or "").strip().splitlines()[0],
            "type": "object",
            "properties": {field.name: _of(hints[field.name], definitions) for field in fields},
            "required": [field.name for field in fields if _is_required(field)],
            "additionalProperties": False,
        }
    return {"$ref": f"#/$defs/{kind.__name__}"}


def _of(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if kind in _WORDS:
        return dict(_WORDS[kind])
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return {"enum": [str(word) for word in kind]}
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _refer(kind, definitions)
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple and inner[1:] == (Ellipsis,):
        return {"type": "array", "items": _of(inner[0], definitions)}
    if origin is Mapping:
        return {"type": "object", "additionalProperties": _of(inner[1], definitions)}
    if origin is types.UnionType:
        return {"anyOf": [_of(word, definitions) for word in inner]}
    raise TypeError(f"{kind!r} has no place in a result file")


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
