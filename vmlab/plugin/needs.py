# SPDX-License-Identifier: MIT
"""The resources that the selected tests need: a guest, the module, or only a target's row of the matrix."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from vmlab.catalogue.target import Target

GUESTS = ("timed_guest", "guest", "any_guest", "booted_guest", "shared_guest")
"""Fixtures that return a guest. If a test uses several, `loaded_module` and `program` use the first in this order."""
NETWORK = "network"
"""Marker of a test whose guest has a network."""
PARAMETERS = "module_parameters"
"""Marker with the parameters that `loaded_module` loads the module with."""
_MODULES = ("module", "modules")
_NEED_AN_IMAGE = (*GUESTS, *_MODULES, "program", "perf_access")
"""Fixtures that need a target's image; other fixtures of the plugin need it through one of these."""


def target_of_item(item: pytest.Item) -> Target | None:
    """Return the target that a collected test runs on; None if it uses none."""
    from vmlab.catalogue.target import Target

    callspec = getattr(item, "callspec", None)
    target = callspec.params.get("vmlab_target") if callspec is not None else None
    return target if isinstance(target, Target) else None


def targets_with_an_image(items: Iterable[pytest.Item]) -> tuple[Target, ...]:
    """Return the targets whose image the tests need, without duplicates, in the order of the tests."""
    needed: dict[str, Target] = {}
    for item in items:
        target = target_of_item(item)
        if target is not None and _will_run(item) and any(_is_ours(item, name) for name in _NEED_AN_IMAGE):
            needed.setdefault(target.id, target)
    return tuple(needed.values())


def needs_the_module(items: Iterable[pytest.Item]) -> bool:
    """True if any of the tests builds the module."""
    return any(
        _will_run(item) and any(_is_ours(item, name) for name in _MODULES)
        for item in items
        if target_of_item(item) is not None
    )


def has_network(item: pytest.Item) -> bool | None:
    """True if a test is marked `network`; None if it is not, and the setting decides."""
    return True if item.get_closest_marker(NETWORK) is not None else None


def _will_run(item: pytest.Item) -> bool:
    return item.get_closest_marker("skip") is None


def _is_ours(item: pytest.Item, name: str) -> bool:
    """True if a test uses the plugin's fixture of this name, not one that the project defines."""
    found = getattr(item, "_fixtureinfo", None)
    definitions: Sequence[Any] = found.name2fixturedefs.get(name, ()) if found is not None else ()
    return bool(definitions) and definitions[-1].func.__module__.startswith(__package__ or "")
