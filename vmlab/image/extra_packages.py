# SPDX-License-Identifier: MIT
"""Tool roots with further packages: those of a target's image, and on top what a module's build needs.

The packages are installed into the base that the image was made from, by apt and with the archive's keys, as for an
image. Files that this adds, and those of packages that the image's tool root leaves out, are copied over a copy of that
tool root. Nothing of the module is involved.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vmlab.catalogue.target import Target
from vmlab.context import Context
from vmlab.errors import HostError
from vmlab.image.from_packages import base_of, suite_name
from vmlab.image.image import Image
from vmlab.image.mirrors import find_mirrors, index_options
from vmlab.image.mmdebstrap import fresh_log, mmdebstrap
from vmlab.image.on_base import BASE, CHROOT, installed_on_base
from vmlab.image.unpack import unpack
from vmlab.store.trees import entries_below
from vmlab.system.files import remove_tree
from vmlab.system.process import run

_TIMEOUT_S = 1800
_COPY_TIMEOUT_S = 600
_REVISION = 1
# Runs in the root, with the packages as arguments. apt's list of what they depend on names what the tool root may lack
# although the base has it: it leaves out Python's library.
_COLLECT = """
set -eu
closure=$(apt-cache depends --recurse --important --installed "$@" | grep -v '^[ |<]' | sort -u)
{
  dpkg-query -L $closure 2>/dev/null || :
  find / -xdev -cnewer /vmlab-before \\( -type f -o -type l \\)
} | sort -u | grep -Ev '^/(var|dev|proc|sys|run|tmp|srv|root|home|boot|mnt)(/|$)|^/usr/share/(doc|man|locale|info)/' |
  while read -r name; do
    if [ -L "$name" ] || [ -f "$name" ]; then
      # Below its real directory: the base may have a link in the path, such as /bin.
      printf '%s/%s\\0' "$(realpath "$(dirname "$name")")" "$(basename "$name")"
    fi
  done | sort -zu | tar --null --no-recursion --hard-dereference -cf /srv/extra.tar -T -
"""


def with_packages(target: Target, image: Image, packages: Sequence[str], context: Context) -> Image:
    """Return the image with a tool root that has the packages too, from the store or made now (a minute, network).

    Raises `HostError` for a target that is not made from packages; `AssetError` as `obtain_image`, also for a package
    that its suite does not have.
    """
    if not packages:
        return image
    if target.cloud is not None:
        raise HostError(
            f"packages cannot be added to the tool root of {target.id}, which is from a publisher's image",
            hint="choose a target that is made from Debian's packages: `vmlab targets` lists them",
        )
    names = sorted(set(packages))
    inputs = {"image": image.digest, "image_seal": image.seal, "packages": names, "revision": _REVISION}

    def build(work: Path) -> Mapping[str, Any]:
        _install(target, image, names, work, context)
        return {"target": target.id, "packages": names}

    def waiting() -> None:
        context.progress(f"{target.id}: another run is adding these packages, waiting for it")

    stored = context.store.obtain("tools", inputs, build, waiting=waiting)
    return replace(image, tool_root=stored.file("tools"), tools_digest=stored.digest)


def _install(target: Target, image: Image, packages: Sequence[str], work: Path, context: Context) -> None:
    what = f"{target.id}: adding {', '.join(packages)} to its tools"
    mirrors = find_mirrors(context.settings.mirror)
    (work / BASE).symlink_to(base_of(target, context).file(BASE))
    downloads = context.store.directory(f"downloads/{suite_name(target)}")
    sources = "\n".join(map(mirrors.source_line, target.suite.pockets))
    collect = shlex.join(["sh", "-c", _COLLECT, "collect", *packages])
    with mirrors.login_options(work) as logins:
        mmdebstrap(
            [
                *installed_on_base(
                    packages,
                    sources=sources,
                    logins=[*logins, *index_options(context.settings.stale_index)],
                    downloads=downloads,
                    stale_index=context.settings.stale_index,
                    # The times of inodes tell what is new, and a change in the same tick would not be newer.
                    before=['--customize-hook=touch "$1/vmlab-before" && sleep 1'],
                ),
                f"--customize-hook={CHROOT} {collect}",
                "--customize-hook=download /srv/extra.tar extra.tar",
                "",
                "/dev/null",
            ],
            architecture=target.architecture,
            directory=work,
            log=fresh_log(context.store, f"tools-{target.id}"),
            what=what,
            progress=context.progress,
            timeout_s=_TIMEOUT_S * context.settings.patience,
        )
    context.progress(f"{what}: copying the tool root")
    _copy(image.tool_root, work / "tools")
    (work / "extra").mkdir()
    unpack(work / "extra.tar", work / "extra", files={}, tree="")
    overlay(work / "extra", work / "tools")
    remove_tree(work / "extra")
    for name in (BASE, "extra.tar"):
        (work / name).unlink()


def _copy(tree: Path, place: Path) -> None:
    copied = run(["cp", "-a", "--reflink=auto", str(tree), str(place)], timeout_s=_COPY_TIMEOUT_S)
    if not copied.ok:
        raise HostError("the tool root cannot be copied", hint="free space in the store", detail=copied.tail)


def overlay(added: Path, tree: Path) -> None:
    """Move the files and links of one tree over another, without following a link in either; a file that is there with
    the same size and time stays."""
    for entry in list(entries_below(added)):
        place = tree / Path(entry.path).relative_to(added)
        if entry.is_dir(follow_symlinks=False):
            continue
        folders = [folder for folder in place.parents if folder.is_relative_to(tree)]
        if any(folder.is_symlink() or (folder.exists() and not folder.is_dir()) for folder in folders):
            continue
        if place.is_dir() and not place.is_symlink():
            continue
        if not entry.is_symlink() and place.is_file() and not place.is_symlink():
            old, new = place.stat(), entry.stat(follow_symlinks=False)
            if (old.st_size, int(old.st_mtime)) == (new.st_size, int(new.st_mtime)):
                continue
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        Path(entry.path).rename(place)
