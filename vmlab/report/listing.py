# SPDX-License-Identifier: MIT
"""Output of `vmlab targets`, `vmlab doctor` and `vmlab images ls`."""

from __future__ import annotations

import time
from collections.abc import Sequence

from vmlab.catalogue.matrix import Matrix
from vmlab.catalogue.target import Target
from vmlab.cloud.lock import ImageLock
from vmlab.decode import unstructure
from vmlab.host.facts import Fact, Grade
from vmlab.report.console import Grid, show
from vmlab.store.store import Store, StoredObject
from vmlab.system.output import say, say_json


def print_targets(matrix: Matrix, store: Store, lock: ImageLock, *, chosen: Sequence[Target]) -> None:
    """Print a row per target; marks the selected targets, and those whose image was never tried."""
    images = [item.facts for item in store.objects() if item.kind == "image"]
    releases = {facts.get("target"): facts.get("release", "") for facts in images}
    table = _table("", "target", "line", "flavour", "suite", "image", "")
    for target in matrix.targets:
        mark = "*" if target in chosen else ""
        image = releases.get(target.id, _how_to_get(target, lock))
        flavour = target.flavour if target.cloud is None else "as shipped"
        table.row(mark, target.id, target.line, flavour, target.suite.codename, image, _remarks(target))
    show(table)
    say("* selected; select others with --vmlab-target")
    if any(target.cloud is not None and not target.cloud.image.is_tried for target in matrix.targets):
        say("never tried: no guest was booted from the publisher's image yet")
    if any(image.id not in lock.rows for image in matrix.images):
        say("not locked: `vmlab images lock TARGET` locks the publisher's current file")


def _how_to_get(target: Target, lock: ImageLock) -> str:
    if target.cloud is None:
        return "to build"
    return "to download" if target.cloud.image.id in lock.rows else f"not locked: {target.cloud.image.id}"


def _remarks(target: Target) -> str:
    remarks = [target.note]
    if target.cloud is not None:
        remarks = ["" if target.cloud.image.is_tried else "never tried", target.note, target.cloud.image.note]
    if not target.has_fibdrv:
        remarks.append("not for fibdrv")
    return "; ".join(filter(None, remarks))


def print_facts(facts: Sequence[Fact], *, as_json: bool) -> None:
    """Print the facts of `vmlab doctor`."""
    if as_json:
        say_json([unstructure(fact) for fact in facts])
        return
    table = _table("", "", "")
    for fact in facts:
        style = {Grade.GOOD: "green", Grade.NOTE: "cyan", Grade.SLOW: "yellow", Grade.BAD: "red"}[fact.grade]
        table.row((fact.grade, style), fact.topic, fact.finding)
        if fact.advice:
            table.row("", "", f"→ {fact.advice}")
    show(table)


def print_objects(store: Store, items: Sequence[StoredObject]) -> None:
    """Print the objects in the store, with sizes."""
    table = _table("kind", "what", "kernel", "size", "last used", "digest")
    for item in items:
        days = (time.time() - store.last_used(item)) / 86400
        age = "today" if days < 1 else f"{days:.0f} days ago"
        size = f"{item.size_bytes / 2**20:.0f} MiB"
        kind = f"{item.kind}, shared" if item.is_shared else item.kind
        table.row(kind, item.label, str(item.facts.get("release", "")), size, age, item.digest)
    show(table)
    total = sum(item.size_bytes for item in items)
    say(f"{total / 2**30:.1f} GiB in {store.root}")


def _table(*headings: str) -> Grid:
    table = Grid(has_header=any(headings))
    table.column(*headings)
    return table
