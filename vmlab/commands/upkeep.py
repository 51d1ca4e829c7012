# SPDX-License-Identifier: MIT
"""Maintenance of the store: verify, prune, remove, refresh, and the key of a cache."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence

from vmlab.catalogue.target import Architecture, Boot, Target
from vmlab.cloud.download import KIND as CLOUD_IMAGE
from vmlab.cloud.lock import lock_of
from vmlab.cloud.partial import remove_parts
from vmlab.cloud.provision import want_anew
from vmlab.cloud.recipe import load_cloud_recipe
from vmlab.context import Say
from vmlab.decode import unstructure
from vmlab.errors import AssetError, HostError, UsageError, VmlabError
from vmlab.image.kernel_line import resolve
from vmlab.image.keys import known_keys
from vmlab.image.recipe import load_recipe
from vmlab.lab.lab import Lab
from vmlab.store.place import folders, is_open, is_store, strangers, writable_by_others
from vmlab.store.store import Store, StoredObject, digest_of
from vmlab.system.files import remove_tree


def chosen_objects(store: Store, targets: Sequence[Target]) -> list[StoredObject]:
    """Return all objects, or those of some targets in any boot variant."""
    ids = {target.started(boot).id for target in targets for boot in Boot}
    return [item for item in store.objects() if not ids or item.facts.get("target") in ids]


def verify(store: Store, targets: Sequence[Target], *, say: Say) -> bool:
    """Verify the hash of every object and report each; False if one is damaged, or others can write to the store.

    A store that others can read is reported, and is not a failure: a shared store must be readable.
    """
    is_whole = True
    for kind, digest in store.unreadable():
        is_whole = False
        say(f"damaged  {kind:8} {digest}: its manifest cannot be read")
    for item in chosen_objects(store, targets):
        try:
            store.verify(item)
            say(f"ok       {item.kind:8} {item.label}")
        except AssetError as error:
            is_whole = False
            say(f"damaged  {item.kind:8} {item.label}: {error.message}")
    _tell_strangers(store, say)
    for path in writable_by_others(store.root):
        is_whole = False
        say(f"writable {path} by other users, who can change what guests run (chmod go-w {shlex.quote(str(path))})")
    if is_open(store.root):
        mend = f"chmod 700 {shlex.quote(str(store.root))}"
        keys = ", with the keys of its guests" if is_open(store.root / "keys") else ""
        say(f"readable {store.root} by other users{keys} ({mend}, unless it is a shared store)")
    return is_whole


def _tell_strangers(store: Store, say: Say) -> None:
    for path in strangers(store.root):
        say(f"unknown  {str(path)!r}: not made by vmlab, and left alone")


def prune(lab: Lab, targets: Sequence[Target], *, is_all: bool, is_damaged_only: bool, say: Say) -> None:
    """Remove what no run uses any more: superseded images, bases and builds, downloads, unfinished objects.

    With `targets`, their objects; with `is_all`, everything but the keys; with `is_damaged_only`, damaged objects.
    """
    store = lab.store
    if not is_store(store.root):
        say(f"nothing to remove: no store in {store.root}")
        return
    freed = 0
    if is_all or is_damaged_only:
        for kind, digest in list(store.unreadable()):
            told = "removed " if store.discard(kind, digest) else "in use  "
            say(f"{told} {kind:8} {digest}: its manifest cannot be read")
    for item in _doomed(lab, targets, is_all=is_all, is_damaged_only=is_damaged_only):
        if not store.remove(item):
            say(f"in use   {item.kind:8} {item.label}")
            continue
        freed += item.size_bytes
        say(f"removed  {item.kind:8} {item.label}  {item.size_bytes / 2**20:.0f} MiB")
    rubbish = store.remove_rubbish()
    if rubbish:
        say(f"removed  {rubbish} unfinished objects")
    if not targets and not is_damaged_only:
        for name, size in remove_parts(store):
            freed += size
            say(f"removed  the partial download of {name}  {size / 2**20:.0f} MiB")
        for folder in folders(store.root, "downloads"):
            remove_tree(folder)
    _tell_strangers(store, say)
    say(f"{freed / 2**30:.1f} GiB freed")


def remove(lab: Lab, words: Sequence[str], *, say: Say) -> bool:
    """Remove all objects of targets, or objects by digest with everything made from them.

    A word is a digest (6 digits or more), the id of a publisher's image, or a glob of targets. Returns False if an
    object stayed or a word matched none. Raises `UsageError` for an unknown word, or when there is no word.
    """
    if not words:
        raise UsageError("no target or digest was given", hint="`vmlab images ls` lists both")
    store = lab.store
    is_done = True
    # Resolve all words first: an unknown one is reported before anything is removed.
    named = [(word, _broken(store, word)) for word in words]
    chosen = [(word, broken, [] if broken else _named(lab, word)) for word, broken in named]
    for word, broken, found in chosen:
        for kind, digest in broken:
            is_done = store.discard(kind, digest) and is_done
            say(f"removed  {kind:8} {digest}: its manifest cannot be read")
        if not broken and not found:
            say(f"no object of {word} is in the store")
            is_done = False
        for item in found:
            is_gone = store.remove(item)
            is_done = is_done and is_gone
            told = "removed" if is_gone else "shared" if item.is_shared else "in use"
            say(f"{told:8} {item.kind:8} {item.label}  {item.size_bytes / 2**20:.0f} MiB")
    return is_done


def _broken(store: Store, word: str) -> list[tuple[str, str]]:
    """Return kind and digest of the objects that a digest names and whose manifests cannot be read."""
    return [row for row in store.unreadable() if _is_digest(word) and row[1].startswith(word)]


def _named(lab: Lab, word: str) -> list[StoredObject]:
    """Return the objects that a word names; an image comes after the objects made from it."""
    items = list(lab.store.objects())
    chosen = [item for item in items if _is_digest(word) and item.digest.startswith(word)]
    chosen = chosen or [item for item in items if item.kind == CLOUD_IMAGE and item.label == word]
    if not chosen and not _is_digest(word) and word not in {image.id for image in lab.matrix.images}:
        chosen = chosen_objects(lab.store, lab.matrix.select(word))
    digests = {item.digest for item in chosen}
    images = {item.digest for item in chosen if item.kind == "image"}
    made_from = [item for item in items if item.image in images and item.digest not in digests]
    return sorted([*made_from, *chosen], key=lambda item: item.kind == "image")


def _is_digest(word: str) -> bool:
    return re.fullmatch("[0-9a-f]{6,20}", word) is not None


def _doomed(lab: Lab, targets: Sequence[Target], *, is_all: bool, is_damaged_only: bool) -> Iterable[StoredObject]:
    store = lab.store
    # The shared store is read-only.
    items = [item for item in chosen_objects(store, targets) if not item.is_shared]
    if is_damaged_only:
        return [item for item in items if not _is_whole(store, item)]
    if targets or is_all:
        return items
    newest = {(item.kind, item.label): item for item in items}  # objects come oldest first
    images = {item.digest: item for (kind, _), item in newest.items() if kind == "image"}
    bases = {str(item.inputs.get("base")) for item in images.values()}
    whole = {item.digest for (kind, _), item in newest.items() if kind in ("vmlinux", CLOUD_IMAGE)}
    keep = images.keys() | bases | whole | {item.digest for item in newest.values() if _is_of_today(item, images, lab)}
    return [item for item in items if item.digest not in keep and (item.kind == "snapshot" or item.image not in images)]


def _is_of_today(item: StoredObject, images: Mapping[str, StoredObject], lab: Lab) -> bool:
    """True if a snapshot was made from the current state of a kept image by the installed QEMU, with today's keys."""
    image, keys = images.get(item.image), known_keys(lab.store)
    return (
        item.kind == "snapshot"
        and image is not None
        and item.inputs.get("image_seal") == image.seal
        and item.inputs.get("qemu") == _qemu_of(image, lab)
        and keys is not None
        and item.inputs.get("keys") == keys.digest
    )


def _qemu_of(image: StoredObject, lab: Lab) -> str:
    """Return the version of the QEMU that runs an image's guests; empty if none is installed, or the
    image names no architecture."""
    try:
        return lab.qemu_version(Architecture(image.inputs.get("architecture", Architecture.AMD64)))
    except (HostError, ValueError):
        return ""


def _is_whole(store: Store, item: StoredObject) -> bool:
    try:
        store.verify(item)
    except VmlabError:
        return False
    return True


def refresh(lab: Lab, targets: Sequence[Target], *, say: Say) -> None:
    """Query the package index again for each target's kernel version; the next run builds what changed. The host
    cannot query a cloud image's index: the next run provisions such an image again."""
    locked = lock_of(lab.settings).rows
    for target in dict.fromkeys(target.stock for target in targets):
        if target.cloud is not None:
            image = target.cloud.image
            want_anew(lab.store, target)
            how = "" if image.id in locked else f"; first run `vmlab images lock {image.id}`"
            say(f"{target.id}: the next run provisions {image.id} again{how}")
            continue
        recipe = load_recipe(target.suite.distribution)
        found = resolve(target, recipe, lab.context, refresh=True)
        say(f"{target.id}: {found.kernel.release} ({found.kernel.version})")


def cache_key(lab: Lab, targets: Sequence[Target]) -> str:
    """Return a digest of all inputs of these targets' images: their rows, the recipes and the locked files. For a
    cache between runs; does not query the archives for their versions."""
    locked = lock_of(lab.settings).rows
    rows = {}
    for target in dict.fromkeys(target.stock for target in targets):
        cloud = target.cloud
        recipe = load_cloud_recipe(cloud.image.package_manager) if cloud else load_recipe(target.suite.distribution)
        row = locked.get(cloud.image.id) if cloud else None
        rows[target.id] = [unstructure(target), recipe.digest, None if row is None else unstructure(row)]
    return digest_of(rows)
