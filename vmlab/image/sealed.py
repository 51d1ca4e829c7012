# SPDX-License-Identifier: MIT
"""Files and records of sealed images, both those built from packages and those from a cloud image."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

from vmlab.catalogue.target import Target
from vmlab.errors import AssetError
from vmlab.image.image import DISK_ROOT, Image
from vmlab.image.unpack import unpack
from vmlab.store.store import Store, StoredObject

_OF_INTEREST = ("linux-", "kernel", "gcc", "binutils", "libc6-dev", "glibc", "make", "kmod", "pahole", "dwarves")
_TOOLS = "tools"
_LARGEST = {"kernel": 2**29, "initrd": 2**30, "config": 2**24, "packages": 2**24}
"""Largest sizes in bytes of the files beside a tool root: four times the largest that distributions have, at least."""
_OF_INTEREST_TOO = ("openssh-server", "systemd", "perf", "cloud-init")


def cached_image(target: Target, store: Store) -> Image | None:
    """Return the newest image of a target in the store, whatever its inputs; uses no network."""
    stored = [item for item in store.objects() if item.kind == "image" and item.facts.get("target") == target.id]
    return stored_image(target, stored[-1]) if stored else None


def installed_of_interest(listing: Path) -> dict[str, str]:
    """Return the versions of the packages that can affect a result (kernel, compiler, C library, perf), from a list of
    name, tab and version."""
    rows = (
        line.split("\t") for line in listing.read_text(encoding="utf-8", errors="replace").splitlines() if "\t" in line
    )
    wanted = _OF_INTEREST + _OF_INTEREST_TOO
    return {name.partition(":")[0]: version for name, version in rows if name.startswith(wanted)}


def unpack_tools(archive: Path, directory: Path) -> None:
    """Unpack a tool root as plain files of this user, who is root in the namespace that reads it.

    Raises `AssetError` for an archive with anything but files, directories and links, or one that leads out of it.
    """
    directory.mkdir()
    unpack(archive, directory, files={}, tree="")
    _make_mount_points(directory)


def unpack_members(disk: Path, directory: Path) -> None:
    """Unpack the tar that a guest wrote to a raw disk: kernel, initrd, config, packages, and the tool root `tools/`.

    Raises `AssetError` when one of them is missing, is a link, or leads out of the archive.
    """
    unpack(disk, directory, files=_LARGEST, tree=_TOOLS)
    missing = [name for name in (*_LARGEST, _TOOLS) if not (directory / name).exists()]
    if missing:
        raise AssetError(f"the guest wrote no {' and no '.join(missing)}", hint="report it with the name of the target")
    _make_mount_points(directory / _TOOLS)


def _make_mount_points(tools: Path) -> None:
    """Make the directories that builds mount over and the lab writes to; a link there would lead out of the tree."""
    for name in ("dev", "proc", "build", "tmp", "boot"):
        place = tools / name
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            raise AssetError(
                f"the tool root is refused: /{name} must be a directory", hint="report it with the name of the target"
            )
        place.mkdir(exist_ok=True)


def stored_image(target: Target, stored: StoredObject) -> Image:
    """Return the record of a sealed image; raises `AssetError` when its manifest lacks a required fact."""
    try:
        release, packages = stored.facts["release"], stored.facts["packages"]
    except KeyError as error:
        raise AssetError(
            f"image {target.id}: its manifest lacks {error}", hint=f"vmlab images rm {stored.digest}"
        ) from None
    return Image(
        target_id=target.id,
        architecture=target.architecture,
        digest=stored.digest,
        seal=stored.seal,
        release=release,
        packages=packages,
        is_new=stored.is_new,
        size_bytes=stored.size_bytes,
        **_files(stored.path),
        root=stored.facts.get("root", DISK_ROOT),
        cloud_image=stored.facts.get("cloud_image", ""),
        compiler=stored.facts.get("compiler", ""),
    )


def draft_image(target: Target, directory: Path, facts: Mapping[str, Any]) -> Image:
    """Return the record of an image that is about to be sealed; digest and size are empty."""
    return Image(
        target_id=target.id,
        architecture=target.architecture,
        digest="",
        seal="",
        release=facts["release"],
        packages=facts["packages"],
        is_new=True,
        size_bytes=0,
        **_files(directory),
        root=facts["root"],
        cloud_image=facts["cloud_image"],
    )


class _Files(TypedDict):
    disk: Path
    kernel: Path
    initrd: Path
    tool_root: Path


def _files(directory: Path) -> _Files:
    """Return the paths of an image's files in its directory."""
    return _Files(
        disk=directory / "disk.qcow2",
        kernel=directory / "kernel",
        initrd=directory / "initrd",
        tool_root=directory / "tools",
    )
