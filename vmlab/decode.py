# SPDX-License-Identifier: MIT
"""Strict decoding of TOML and JSON into frozen dataclasses.

Data that people write gets an error that names file, key and the nearest valid word. cattrs does the
decoding; this module only turns its findings into one line.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import enum
import itertools
import operator
import tomllib
from collections import deque
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import cattrs
from cattrs.errors import ClassValidationError, ForbiddenExtraKeysError, IterableValidationError
from cattrs.strategies import configure_union_passthrough

from vmlab.errors import UsageError, nearest

T = TypeVar("T")


def _exactly(kind: type) -> Any:
    def check(value: object, _: type) -> object:
        # bool is an int to isinstance; `cpus = true` is still a mistake.
        if type(value) is not kind:
            raise TypeError(f"expected {kind.__name__}, got {value!r}")
        return value

    return check


def _number(value: object, _: type) -> float:
    # By default "1.5" and true would do as well.
    if type(value) not in (int, float):
        raise TypeError(f"expected a number, got {value!r}")
    return float(value)  # type: ignore[arg-type]


def _is_list_of(kind: Any) -> bool:
    return get_origin(kind) is tuple and get_args(kind)[1:] == (Ellipsis,)


def _list_hook(kind: Any, converter: cattrs.Converter) -> Any:
    items: Any = list[get_args(kind)[0]]  # type: ignore[misc]
    inner = converter.get_structure_hook(items)

    def check(value: object, _: type) -> object:
        if not isinstance(value, list | tuple):
            raise TypeError(f"expected a list, got {value!r}")
        return tuple(inner(value, items))

    return check


_SINGLE: dict[Any, set[type]] = {str: {str}, int: {int}, bool: {bool}, float: {float, int}}
"""What JSON and TOML may have for each kind of single value."""


def _is_word(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, enum.StrEnum)


def _is_list_of_flat(kind: Any) -> bool:
    """Whether it is of records that can be made by columns: single values in slots, and nothing to be done after."""
    item = get_args(kind)[0] if _is_list_of(kind) else None
    if not dataclasses.is_dataclass(item) or not hasattr(item, "__slots__") or hasattr(item, "__post_init__"):
        return False
    return all(hint in _SINGLE or _is_word(hint) for hint in get_type_hints(item).values())


def _columns_hook(kind: Any, converter: cattrs.Converter) -> Any:
    """For records that files have by the hundred thousand: a field of all of them at a time, in loops of C, which takes
    a quarter of what a call for each record does. Those that lack a key that has a default are made one by one."""
    by_one = _list_hook(kind, converter)
    item = get_args(kind)[0]
    hints = get_type_hints(item)

    def check(value: Any, as_kind: type) -> object:
        if not isinstance(value, list) or any(row.keys() != hints.keys() for row in value):
            return by_one(value, as_kind)
        made = list(map(object.__new__, itertools.repeat(item, len(value))))
        for name, hint in hints.items():
            column = list(map(operator.itemgetter(name), value))
            if _is_word(hint):
                column = list(map({str(word): word for word in hint}.__getitem__, column))
            elif not set(map(type, column)) <= _SINGLE[hint]:
                raise TypeError(f"{name}: expected {hint.__name__}")
            elif hint is float:
                column = list(map(float, column))
            # A frozen record's slots are filled so by its own __init__, by way of object.__setattr__.
            deque(map(getattr(item, name).__set__, made, column), maxlen=0)
        return tuple(made)

    return check


def _converter(*, is_detailed: bool) -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=is_detailed)
    # cattrs coerces by default: `line = 6.1`, a float, would become "6.1" and `6.10` as well.
    for kind in (str, int, bool, datetime.date):
        converter.register_structure_hook(kind, _exactly(kind))
    converter.register_structure_hook(float, _number)
    # A hook holds for subclasses too, and every StrEnum is a str: without one of its own any word would do.
    converter.register_structure_hook(enum.StrEnum, lambda value, kind: kind(value))
    converter.register_structure_hook(Path, lambda value, _: Path(value))
    converter.register_unstructure_hook(Path, str)
    # By default whatever can be gone through would do: of a text each letter, of a table its keys.
    converter.register_structure_hook_factory(_is_list_of, _list_hook)
    configure_union_passthrough(str | int | float | bool | None, converter)
    if not is_detailed:
        converter.register_structure_hook_factory(_is_list_of_flat, _columns_hook)
    return converter


_CONVERTER = _converter(is_detailed=True)
_QUICK = _converter(is_detailed=False)
"""Takes and refuses the same in a fraction of the time, and cannot tell which key was at fault."""


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file; `UsageError` naming the file and line when it is not TOML or not there."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"no such file: {path}") from None
    except OSError as error:
        raise UsageError(f"cannot read {str(path)!r}: {error.strerror}", hint="expected a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not valid TOML: {error}", hint="correct the line it names") from None


def structure(data: object, kind: type[T], *, where: str) -> T:
    """`data` as a `kind`, or one `UsageError` that begins with `where` and names the key."""
    with contextlib.suppress(Exception):
        return _QUICK.structure(data, kind)
    try:
        return _CONVERTER.structure(data, kind)
    except (ClassValidationError, IterableValidationError) as error:
        key, message, hint = _first_fault(error, kind)
        at = f"{where}: {key}" if key else where
        raise UsageError(f"{at}: {message}", hint=hint) from None
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise UsageError(f"{where}: {error}") from None


def unstructure(record: object) -> Any:
    """A record as plain lists, dicts, strings and numbers, ready for JSON."""
    return _CONVERTER.unstructure(record)


def _first_fault(error: BaseException, kind: type) -> tuple[str, str, str]:
    """Key path, message and hint of the first leaf in cattrs's tree of errors."""
    keys: list[str] = []
    while isinstance(error, ClassValidationError | IterableValidationError):
        if isinstance(error, ClassValidationError):
            kind = error.cl or kind
        error = error.exceptions[0]
        for note in getattr(error, "__notes__", ()):
            name = getattr(note, "name", None)
            index = getattr(note, "index", None)
            if name is not None:
                keys.append(str(name))
            elif index is not None:
                keys.append(f"[{index}]")
    path = ".".join(keys).replace(".[", "[")
    if isinstance(error, ForbiddenExtraKeysError):
        extra = sorted(error.extra_fields)[0]
        known = [field.name for field in dataclasses.fields(error.cl)] if dataclasses.is_dataclass(error.cl) else []
        return (f"{path}.{extra}" if path else extra, "unknown key", nearest(extra, known))
    if isinstance(error, KeyError):
        return (path or str(error.args[0]), "this key is missing", "")
    if isinstance(error, ValueError) and "is not a valid" in str(error):
        word, _, name = str(error).partition(" is not a valid ")
        choices = _enum_words(name)
        return (path, f"unknown word {word}", nearest(word.strip("'"), choices))
    return (path, str(error), "")


def _enum_words(name: str) -> list[str]:
    for kind in enum.StrEnum.__subclasses__():
        if kind.__name__ == name:
            return [str(member) for member in kind]
    return []
