# SPDX-License-Identifier: MIT
"""A kernel's debug symbols: the vmlinux in the distribution's package of debug symbols."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vmlab.catalogue.target import Target
from vmlab.context import Context
from vmlab.errors import AssetError
from vmlab.image.image import Image
from vmlab.image.mirrors import find_mirrors, index_options
from vmlab.image.mmdebstrap import fresh_log, mmdebstrap
from vmlab.system.process import run

_TIMEOUT_S = 1800
# One is a link to the other: Debian 12 has the file in boot/, 7.3 of Debian 13 beside the modules.
_PLACES = ("./usr/lib/debug/boot/vmlinux-{}", "./usr/lib/debug/lib/modules/{}/vmlinux")


def obtain_vmlinux(target: Target, image: Image, context: Context) -> Path:
    """Return the vmlinux with debug information of an image's kernel, from the store or fetched now. The download has
    260 to 860 MB, the stored file of a cloud kernel 0.4 to 0.6 GB.

    Raises `AssetError` when the archive lacks that package in the image's version, `HostError` when the disk is full.
    """
    if target.cloud is not None:
        raise AssetError(
            f"no debug symbols for {target.id!r}: its kernel is not a package of Debian's archive",
            hint="install them in its guest with the distribution's debuginfo tools",
        )
    package = f"linux-image-{image.release}-dbg"
    version = image.packages.get(f"linux-image-{image.release}", "")

    def fetch(work: Path) -> Mapping[str, Any]:
        _download(target, f"{package}={version}", work, context)
        archives = sorted(work.glob("*.deb"))
        if not archives:
            raise AssetError(f"the archive has no {package} {version}", hint="the suite may have a newer one only")
        context.progress(f"{target.id}: unpacking its debug symbols")
        _unpack(archives[0], image.release, work / "vmlinux")
        for archive in archives:
            archive.unlink()
        return {"target": target.id, "name": f"{target.id} symbols", "release": image.release}

    stored = context.store.obtain("vmlinux", {"package": package, "version": version}, fetch)
    return stored.file("vmlinux")


def _download(target: Target, package: str, work: Path, context: Context) -> None:
    settings = context.settings
    mirrors = find_mirrors(settings.mirror)
    fetch = (
        f'cd {shlex.quote(str(work))} && APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get download {shlex.quote(package)}'
    )
    with mirrors.login_options(work) as logins:
        mmdebstrap(
            [
                "--variant=custom",
                "--format=null",
                *logins,
                *index_options(settings.stale_index),
                f"--customize-hook={fetch}",
                target.suite.codename,
                "/dev/null",
                *map(mirrors.source_line, target.pockets),
            ],
            architecture=target.architecture,
            directory=work,
            log=fresh_log(context.store, f"symbols-{target.id}"),
            what=f"{target.id}: fetching its debug symbols",
            progress=context.progress,
            timeout_s=_TIMEOUT_S * settings.patience,
        )


def _unpack(archive: Path, release: str, vmlinux: Path) -> None:
    script = 'dpkg-deb --fsys-tarfile "$1" | tar -x --occurrence=1 -O -f - "$2" >"$3"'
    for place in _PLACES:
        # dpkg-deb fails with a broken pipe when tar has found the file, so check the file.
        run(["sh", "-c", script, "unpack", str(archive), place.format(release), str(vmlinux)], timeout_s=_TIMEOUT_S)
        with vmlinux.open("rb") as file:
            if file.read(4) == b"\x7fELF":
                return
    raise AssetError(f"{archive.name} has no vmlinux of {release}", hint="report it with the name of the target")
