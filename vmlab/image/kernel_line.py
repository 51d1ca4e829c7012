# SPDX-License-Identifier: MIT
"""Newest kernel of a target's line: read from the package index, and cached."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vmlab.catalogue.target import Target
from vmlab.context import Context
from vmlab.decode import structure, unstructure
from vmlab.errors import AssetError, UsageError
from vmlab.image.debian_index import KernelPackages, newest_kernel, parse_packages, version_key
from vmlab.image.mirrors import find_mirrors, index_options
from vmlab.image.mmdebstrap import fresh_log, mmdebstrap
from vmlab.image.recipe import Recipe, guest_packages
from vmlab.store.store import Store, digest_of
from vmlab.system.naming import told_of

_INDEX_TIMEOUT_S = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """Kernel and package versions that the index offered for a target."""

    kernel: KernelPackages
    versions: Mapping[str, str]
    """Newest version in the suite of every package of its guests."""


def resolve(target: Target, recipe: Recipe, context: Context, *, refresh: bool = False) -> Resolution:
    """Return the index's versions for a target; read again when the cached ones are older than `index_days`.

    When the mirror is unreachable and older versions are cached, those are used, with a notice.
    """
    name = f"resolved-{target.id}-{digest_of({'packages': guest_packages(target.suite, recipe)})}"
    known = _known(context.store, name)
    if known is not None and not refresh and known[1] < context.settings.index_days * 86400:
        return known[0]
    try:
        index = read_index(target, context)
        resolution = choose(target, index, guest_packages(target.suite, recipe))
    except AssetError as error:
        if known is None or refresh or "no kernel of line" in error.message:
            raise
        older = f"using the versions resolved {known[1] / 86400:.0f} days ago"
        context.notice(f"{told_of(target.id, error.message)}; {older}")
        return known[0]
    context.store.remember(name, unstructure(resolution))
    return resolution


def _known(store: Store, name: str) -> tuple[Resolution, float] | None:
    """Return the cached versions with their age in seconds; None if there are none, or the note is damaged."""
    note = store.note(name)
    try:
        return None if note is None else (structure(note[0], Resolution, where=name), note[1])
    except UsageError:
        return None


def choose(target: Target, index: Mapping[str, str], names: tuple[str, ...]) -> Resolution:
    """Choose the versions from the texts of a target's Packages files, by pocket. Pure.

    The kernel may come from any of the target's pockets, the packages of every guest only from the suite's: a target
    with backports shares its suite's base.
    """
    kernels = [package for text in index.values() for package in parse_packages(text)]
    versions: dict[str, str] = {}
    for pocket in target.suite.pockets:
        for package in parse_packages(index.get(pocket, ""), names):
            older = versions.get(package.name)
            if package.name in names and (older is None or version_key(package.version) > version_key(older)):
                versions[package.name] = package.version
    return Resolution(kernel=newest_kernel(target, kernels), versions=versions)


def read_index(target: Target, context: Context) -> dict[str, str]:
    """Return the texts of the Packages files, by pocket."""
    settings, store = context.settings, context.store
    mirrors = find_mirrors(settings.mirror)
    # Named and locked for `Store.remove_rubbish`, which deletes directories that no live run holds.
    name = f"index-{target.id}"
    with (
        store.lock(name),
        tempfile.TemporaryDirectory(prefix=f"{name}.", dir=store.directory("tmp")) as temporary,
    ):
        work = Path(temporary)
        with mirrors.login_options(work) as logins:
            mmdebstrap(
                [
                    "--variant=custom",
                    *logins,
                    *index_options(settings.stale_index),
                    "--customize-hook=sync-out /var/lib/apt/lists lists",
                    target.suite.codename,
                    "/dev/null",
                    *map(mirrors.source_line, target.pockets),
                ],
                architecture=target.architecture,
                directory=work,
                log=fresh_log(store, f"index-{target.id}"),
                what=f"{target.id}: reading the package index",
                progress=context.progress,
                timeout_s=_INDEX_TIMEOUT_S * settings.patience,
            )
        return {
            pocket: "\n\n".join(
                path.read_text(encoding="utf-8", errors="replace")
                for path in sorted((work / "lists").glob(f"*_dists_{pocket}_main_*_Packages"))
            )
            for pocket in target.pockets
        }
