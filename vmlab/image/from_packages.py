# SPDX-License-Identifier: MIT
"""Images built from distribution packages: resolve the kernel, build the suite's base, build the target's image.

Each of the three steps is cached. The index gives the newest complete version of a line. A suite's base root file
system is built once for all its targets. A target's image is the base with its kernel, headers and compiler.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vmlab.catalogue.target import Architecture, Target
from vmlab.context import Context
from vmlab.decode import unstructure
from vmlab.image.debian_index import KernelPackages
from vmlab.image.image import Image
from vmlab.image.kernel_file import unpack_kernel
from vmlab.image.kernel_line import Resolution, resolve
from vmlab.image.mirrors import REMOVE_LOGINS, find_mirrors, index_options
from vmlab.image.mmdebstrap import fresh_log, mmdebstrap
from vmlab.image.on_base import BASE, CHROOT, installed_on_base
from vmlab.image.recipe import Recipe, guest_packages, load_recipe, write_overlay
from vmlab.image.sealed import installed_of_interest, stored_image, unpack_tools
from vmlab.store.store import StoredObject, digest_of

_DISK_SIZE = "4G"
_BASE_TIMEOUT_S = 1800
_IMAGE_TIMEOUT_S = 1800


def obtain_image(target: Target, context: Context) -> Image:
    """Return the target's image, from the store or built now (minutes, network).

    Raises `AssetError` when the line is missing, the mirror is unreachable or a stored file is damaged; `HostError`
    when this host cannot build. If the index is unreachable but cached, a notice says so.
    """
    recipe = load_recipe(target.suite.distribution)
    resolution = resolve(target, recipe, context)
    of_base = base_inputs(target, recipe, resolution)
    inputs = {
        "base": digest_of(of_base),
        "pockets": list(target.pockets),
        "architecture": str(target.architecture),
        "kernel": unstructure(resolution.kernel),
        "recipe": recipe.digest,
    }

    def build(work: Path) -> Mapping[str, Any]:
        base = _obtain_base(target, recipe, of_base, context)
        return _build_image(target, resolution.kernel, recipe, base, work, context)

    def waiting() -> None:
        context.progress(f"{target.id}: another run is building this image, waiting for it")

    stored = context.store.obtain("image", inputs, build, waiting=waiting)
    return stored_image(target, stored)


def base_of(target: Target, context: Context) -> StoredObject:
    """Return the base root file system of the target's suite, from the store or built now (minutes, network)."""
    recipe = load_recipe(target.suite.distribution)
    return _obtain_base(target, recipe, base_inputs(target, recipe, resolve(target, recipe, context)), context)


def base_inputs(target: Target, recipe: Recipe, resolution: Resolution) -> Mapping[str, Any]:
    return {
        "codename": target.suite.codename,
        "architecture": str(target.architecture),
        "pockets": list(target.suite.pockets),
        "versions": dict(sorted(resolution.versions.items())),
        "recipe": recipe.digest,
    }


def _obtain_base(target: Target, recipe: Recipe, inputs: Mapping[str, Any], context: Context) -> StoredObject:
    suite, name = target.suite, suite_name(target)

    def build(work: Path) -> Mapping[str, Any]:
        mirrors = find_mirrors(context.settings.mirror)
        write_overlay(work / "overlay.tar", {**recipe.overlay, "setup": recipe.setup}, executable=("setup",))
        with mirrors.login_options(work) as logins:
            mmdebstrap(
                [
                    "--variant=apt",
                    *logins,
                    '--aptopt=APT::Install-Recommends "false"',
                    *index_options(context.settings.stale_index),
                    "--dpkgopt=force-unsafe-io",
                    "--dpkgopt=path-exclude=/usr/share/man/*",
                    "--dpkgopt=path-exclude=/usr/share/locale/*",
                    f"--include={','.join(guest_packages(suite, recipe))}",
                    "--customize-hook=tar-in overlay.tar /",
                    '--customize-hook=chroot "$1" /setup && rm "$1/setup"',
                    REMOVE_LOGINS,
                    f"--customize-hook={recipe.pack}",
                    f"--customize-hook=download /srv/base.tar {BASE}",
                    suite.codename,
                    "/dev/null",
                    *map(mirrors.source_line, suite.pockets),
                ],
                architecture=target.architecture,
                directory=work,
                log=fresh_log(context.store, f"base-{name}"),
                what=f"{name}: building the suite's base",
                progress=context.progress,
                timeout_s=_BASE_TIMEOUT_S * context.settings.patience,
            )
        (work / "overlay.tar").unlink()
        return {}

    return context.store.obtain(
        "base", inputs, build, waiting=lambda: context.progress(f"{name}: waiting for its base")
    )


def suite_name(target: Target) -> str:
    """Return the suite's name for one architecture: `debian12`, `debian12-arm64`."""
    native = "" if target.architecture is Architecture.AMD64 else f"-{target.architecture}"
    return f"{target.suite.id}{native}"


def _build_image(
    target: Target,
    kernel: KernelPackages,
    recipe: Recipe,
    base: StoredObject,
    work: Path,
    context: Context,
) -> Mapping[str, Any]:
    mirrors = find_mirrors(context.settings.mirror)
    (work / BASE).symlink_to(base.file(BASE))
    downloads = context.store.directory(f"downloads/{suite_name(target)}")
    sources = "\n".join(map(mirrors.source_line, target.pockets))
    # A backported kernel may need a newer linux-base, which apt takes from backports only with `-t`.
    extra = target.pockets[len(target.suite.pockets) :]
    release = ["-t", extra[-1]] if extra else []
    versions = [f"{name}={kernel.version}" for name in (kernel.image, kernel.headers)]
    with mirrors.login_options(work) as logins:
        mmdebstrap(
            [
                *installed_on_base(
                    [*release, *versions],
                    sources=sources,
                    logins=logins,
                    downloads=downloads,
                    stale_index=context.settings.stale_index,
                ),
                f"--customize-hook={CHROOT} sh -c "
                "'apt-get clean; rm -rf /var/lib/apt/lists/*; dpkg-query -W >/packages'",
                "--customize-hook=download /packages packages",
                '--customize-hook=rm "$1/packages"',
                f"--customize-hook=RELEASE={shlex.quote(kernel.release)} DISK_SIZE={_DISK_SIZE}\n{recipe.seal}",
                *(
                    f"--customize-hook=download /srv/out/{name} {name}"
                    for name in ("disk.qcow2", "kernel", "initrd", "tools.tar")
                ),
                "",
                "/dev/null",
            ],
            architecture=target.architecture,
            directory=work,
            log=fresh_log(context.store, f"image-{target.id}"),
            what=f"{target.id}: building the image of {kernel.release}",
            progress=context.progress,
            timeout_s=_IMAGE_TIMEOUT_S * context.settings.patience,
        )
    context.progress(f"{target.id}: unpacking its compiler")
    unpack_tools(work / "tools.tar", work / "tools")
    unpack_kernel(work / "kernel", target.architecture)
    installed = installed_of_interest(work / "packages")
    for name in (BASE, "tools.tar", "packages"):
        (work / name).unlink()
    return {"target": target.id, "release": kernel.release, "packages": installed}
