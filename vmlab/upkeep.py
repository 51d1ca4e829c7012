# SPDX-License-Identifier: MIT
"""Looking after the store: verify, prune, refresh, and what a cache of it goes by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from vmlab.decode import unstructure
from vmlab.errors import AssetError, HostError, VmlabError
from vmlab.image.cloud_recipe import load_cloud_recipe
from vmlab.image.fetch import KIND as CLOUD_IMAGE
from vmlab.image.lock import lock_of
from vmlab.image.part import remove_parts
from vmlab.image.recipe import load_recipe
from vmlab.image.resolve import resolve
from vmlab.lab import Lab
from vmlab.machine import running
from vmlab.provision import want_anew
from vmlab.store import Store, StoredObject, digest_of, remove_tree
from vmlab.target import Architecture, Boot, Target

Say = Callable[[str], None]


def chosen_objects(store: Store, targets: Sequence[Target]) -> list[StoredObject]:
    """All objects, or those of some targets, however they are started."""
    ids = {target.started(boot).id for target in targets for boot in Boot}
    return [item for item in store.objects() if not ids or item.facts.get("target") in ids]


def verify(store: Store, targets: Sequence[Target], *, say: Say) -> bool:
    """Hash every object and say which are as they were sealed; False when one is not."""
    is_whole = True
    for item in chosen_objects(store, targets):
        try:
            store.verify(item)
            say(f"whole    {item.kind:8} {item.label}")
        except AssetError as error:
            is_whole = False
            say(f"damaged  {item.kind:8} {item.label}: {error.message}")
    return is_whole


def prune(lab: Lab, targets: Sequence[Target], *, is_all: bool, is_damaged_only: bool, say: Say) -> None:
    """Remove what no run will take again: superseded images, bases and builds, downloads, rubbish.

    With `targets`, their images; with `is_all`, everything but the keys; with `is_damaged_only`, what is damaged.
    """
    store = lab.store
    freed = 0
    for item in _doomed(lab, targets, is_all=is_all, is_damaged_only=is_damaged_only):
        if not store.remove(item):
            say(f"in use   {item.kind:8} {item.label}")
            continue
        freed += item.size_bytes
        say(f"removed  {item.kind:8} {item.label}  {item.size_bytes / 2**20:.0f} MiB")
    rubbish = store.remove_rubbish()
    if rubbish:
        say(f"removed  {rubbish} unfinished works")
    if not targets and not is_damaged_only:
        for name, size in remove_parts(store):
            freed += size
            say(f"removed  the part of {name} that was fetched  {size / 2**20:.0f} MiB")
        remove_tree(store.root / "downloads")
    say(f"{freed / 2**30:.1f} GiB freed")


def _doomed(lab: Lab, targets: Sequence[Target], *, is_all: bool, is_damaged_only: bool) -> Iterable[StoredObject]:
    store = lab.store
    # What is shared is not this host's to remove.
    items = [item for item in chosen_objects(store, targets) if not item.is_shared]
    if is_damaged_only:
        return [item for item in items if not _is_whole(store, item)]
    if targets or is_all:
        return items
    newest = {(item.kind, item.label): item for item in items}  # objects come oldest first
    images = {item.digest: item for (kind, _), item in newest.items() if kind == "image"}
    bases = {item.inputs.get("base") for item in images.values()}
    whole = {item.digest for (kind, _), item in newest.items() if kind in ("vmlinux", CLOUD_IMAGE)}
    keep = images.keys() | bases | whole | {item.digest for item in newest.values() if _is_of_today(item, images, lab)}
    return [
        item
        for item in items
        if item.digest not in keep and (item.kind == "snapshot" or item.inputs.get("image") not in images)
    ]


def _is_of_today(item: StoredObject, images: Mapping[str, StoredObject], lab: Lab) -> bool:
    """Whether a snapshot is one of an image that is kept, as it is now, by the QEMU that is installed."""
    image = images.get(str(item.inputs.get("image")))
    return (
        item.kind == "snapshot"
        and image is not None
        and item.inputs.get("image_seal") == image.seal
        and item.inputs.get("qemu") == _qemu_of(image, lab)
    )


def _qemu_of(image: StoredObject, lab: Lab) -> str:
    """The version of the QEMU that runs an image's guests; empty when none is installed."""
    try:
        return lab.qemu_version(Architecture(image.inputs.get("architecture", Architecture.AMD64)))
    except HostError:
        return ""


def _is_whole(store: Store, item: StoredObject) -> bool:
    try:
        store.verify(item)
    except VmlabError:
        return False
    return True


def reap(lab: Lab, *, say: Say) -> None:
    """End kept guests and whatever lost its owner; remove what killed runs left here and in the store."""
    said = running.reap()
    rubbish = lab.store.remove_rubbish()
    for line in said:
        say(line)
    if rubbish:
        say(f"removed  {rubbish} unfinished works in the store")
    if not said and not rubbish:
        say("nothing was left behind")


def refresh(lab: Lab, targets: Sequence[Target], *, say: Say) -> None:
    """Ask the index again which version each target's line is at; the next run builds what changed. A cloud image's
    guest has no index that could be asked from here: the next run installs anew."""
    locked = lock_of(lab.settings).rows
    for target in dict.fromkeys(target.stock for target in targets):
        if target.cloud is not None:
            image = target.cloud.image
            want_anew(lab.store, target)
            how = "as it is locked" if image.id in locked else f"once `vmlab images lock {image.id}` has locked it"
            say(f"{target.id}: the next run installs it anew, on {image.id} {how}")
            continue
        recipe = load_recipe(target.suite.distribution)
        found = resolve(target, recipe, lab.store, lab.settings, progress=lab.progress, refresh=True)
        say(f"{target.id}: {found.kernel.release} ({found.kernel.version})")


def cache_key(lab: Lab, targets: Sequence[Target]) -> str:
    """The same wherever images of these targets are made from the same: their rows, the recipes, the publishers' files
    as they are locked. For a cache between runs; which versions the archives have is not asked."""
    locked = lock_of(lab.settings).rows
    rows = {}
    for target in dict.fromkeys(target.stock for target in targets):
        cloud = target.cloud
        recipe = load_cloud_recipe(cloud.image.package_manager) if cloud else load_recipe(target.suite.distribution)
        row = locked.get(cloud.image.id) if cloud else None
        rows[target.id] = [unstructure(target), recipe.digest, None if row is None else unstructure(row)]
    return digest_of(rows)
