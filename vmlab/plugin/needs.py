# SPDX-License-Identifier: MIT
"""What the selected tests are going to ask the lab for: some use a guest, some the module, some only a target's row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from vmlab.catalogue.target import Target

GUESTS = ("timed_guest", "guest", "any_guest", "booted_guest", "shared_guest")
"""The fixtures that give a guest; of several in one test, `loaded_module` and `program` work in the first of these."""
_NEED_AN_IMAGE = (*GUESTS, "module", "program", "perf_access")
"""The fixtures that lead to a target's image; the others of the plugin's do so through one of these."""


def target_of_item(item: pytest.Item) -> Target | None:
    """The target that a collected test runs on; None for one that uses none."""
    from vmlab.catalogue.target import Target

    callspec = getattr(item, "callspec", None)
    target = callspec.params.get("vmlab_target") if callspec is not None else None
    return target if isinstance(target, Target) else None


def targets_with_an_image(items: Iterable[pytest.Item]) -> tuple[Target, ...]:
    """The targets whose image the tests need, each once, in the order of the tests."""
    needed: dict[str, Target] = {}
    for item in items:
        target = target_of_item(item)
        if target is not None and _will_run(item) and any(_is_ours(item, name) for name in _NEED_AN_IMAGE):
            needed.setdefault(target.id, target)
    return tuple(needed.values())


def needs_the_module(items: Iterable[pytest.Item]) -> bool:
    """Whether any of the tests builds the module."""
    return any(_will_run(item) and _is_ours(item, "module") for item in items if target_of_item(item) is not None)


def _will_run(item: pytest.Item) -> bool:
    return item.get_closest_marker("skip") is None


def _is_ours(item: pytest.Item, name: str) -> bool:
    """Whether a test uses this fixture, and not a project's own that goes by the same name."""
    found = getattr(item, "_fixtureinfo", None)
    definitions: Sequence[Any] = found.name2fixturedefs.get(name, ()) if found is not None else ()
    return bool(definitions) and definitions[-1].func.__module__.startswith(__package__ or "")
