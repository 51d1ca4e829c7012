# SPDX-License-Identifier: MIT
"""Images out of distribution packages: resolve the kernel, make the suite's base, make the target's image.

Three steps, each cached. The index is asked which version of a line is whole. A suite's base root file system
is made once and shared by its targets. A target's image is the base with its kernel, headers and compiler.
"""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vmlab.decode import read_toml, structure, unstructure
from vmlab.errors import AssetError
from vmlab.image.bootstrap import Progress, mmdebstrap
from vmlab.image.image import GUEST_USER, Image
from vmlab.image.index import KernelPackages, newest_kernel, parse_packages, version_key
from vmlab.image.keys import LabKeys, lab_keys
from vmlab.image.mirrors import find_mirrors
from vmlab.settings import Settings
from vmlab.store import Store, StoredObject, digest_of
from vmlab.target import Suite, Target, catalogue_directory

_REVISION = 2
"""Raised when the steps below change what comes out, so that images made by the old steps are not taken."""

_DISK_SIZE = "4G"
_INDEX_TIMEOUT_S = 600
_BASE_TIMEOUT_S = 1800
_IMAGE_TIMEOUT_S = 1800


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a distribution's guests are made; every byte of it is an input of the image."""

    packages: tuple[str, ...]
    setup: str
    pack: str
    seal: str
    overlay: Mapping[str, str]

    @property
    def digest(self) -> str:
        return digest_of(unstructure(self) | {"revision": _REVISION})


@dataclass(frozen=True, slots=True, kw_only=True)
class _PackageList:
    packages: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What the index offered for a target, when it was asked."""

    kernel: KernelPackages
    versions: Mapping[str, str]
    """The newest version in the suite of every package that its guests have."""


def load_recipe(distribution: str, directory: Path | None = None) -> Recipe:
    """The recipe in images/recipes/<distribution>."""
    folder = (directory or catalogue_directory()) / "recipes" / distribution
    if not folder.is_dir():
        raise AssetError(f"no recipe for {distribution!r}", hint=f"there is none in {folder.parent}")
    listed = structure(read_toml(folder / "packages.toml"), _PackageList, where=str(folder / "packages.toml"))
    overlay = folder / "overlay"
    files = {str(path.relative_to(overlay)): path.read_text() for path in sorted(overlay.rglob("*")) if path.is_file()}
    setup, pack, seal = ((folder / name).read_text() for name in ("setup", "pack", "seal"))
    return Recipe(packages=listed.packages, setup=setup, pack=pack, seal=seal, overlay=files)


def obtain_image(
    target: Target,
    store: Store,
    settings: Settings,
    *,
    progress: Progress = lambda _: None,
    notice: Callable[[str], None] = lambda _: None,
) -> Image:
    """The target's image, from the store or built now (minutes, network).

    Raises `AssetError` when the line is gone, the mirror is away or a stored file is damaged; `HostError` when
    this host cannot build. `notice` hears what the user should know, such as an index that could not be asked.
    """
    recipe = load_recipe(target.suite.distribution)
    resolution = resolve(target, recipe, store, settings, progress=progress, notice=notice)
    keys = lab_keys(store)
    base_inputs = _base_inputs(target.suite, recipe, resolution)
    inputs = {
        "base": digest_of(base_inputs),
        "pockets": list(target.pockets),
        "architecture": str(target.architecture),
        "kernel": unstructure(resolution.kernel),
        "recipe": recipe.digest,
        "keys": [keys.public(keys.user), keys.public(keys.host)],
    }

    def build(work: Path) -> Mapping[str, Any]:
        base = _obtain_base(target, recipe, base_inputs, store, settings, progress)
        return _build_image(target, resolution.kernel, recipe, base, keys, work, store, settings, progress)

    def waiting() -> None:
        progress(f"{target.id}: another run is building this image, waiting for it")

    stored = store.obtain("image", inputs, build, waiting=waiting)
    return _image(target, stored, keys)


def cached_image(target: Target, store: Store) -> Image | None:
    """The newest image of a target that is in the store, whatever its inputs; touches no network."""
    stored = [item for item in store.objects() if item.kind == "image" and item.facts.get("target") == target.id]
    return _image(target, stored[-1], lab_keys(store)) if stored else None


def resolve(
    target: Target,
    recipe: Recipe,
    store: Store,
    settings: Settings,
    *,
    progress: Progress = lambda _: None,
    notice: Callable[[str], None] = lambda _: None,
    refresh: bool = False,
) -> Resolution:
    """What the index offers for a target; asked again when the last answer is older than `index_days`.

    When the mirror is away and there is an older answer, that one is taken and `notice` says so.
    """
    name = f"resolved-{target.id}-{digest_of({'packages': _guest_packages(target.suite, recipe)})}"
    known = store.note(name)
    if known is not None and not refresh and known[1] < settings.index_days * 86400:
        return structure(known[0], Resolution, where=name)
    try:
        index = _read_index(target, settings, store, progress)
        resolution = choose(target, index, _guest_packages(target.suite, recipe))
    except AssetError as error:
        if known is None or refresh or "no kernel of line" in error.message:
            raise
        notice(f"{target.id}: {error.message}; going on with what was resolved {known[1] / 86400:.0f} days ago")
        return structure(known[0], Resolution, where=name)
    store.remember(name, unstructure(resolution))
    return resolution


def choose(target: Target, index: Mapping[str, str], names: tuple[str, ...]) -> Resolution:
    """Pick from the texts of a target's Packages files, by pocket. Pure.

    The kernel may come from any of its pockets, what every guest has only from the suite's own: a target with
    backports shares its suite's base.
    """
    kernels = [package for text in index.values() for package in parse_packages(text)]
    versions: dict[str, str] = {}
    for pocket in target.suite.pockets:
        for package in parse_packages(index.get(pocket, ""), names):
            older = versions.get(package.name)
            if package.name in names and (older is None or version_key(package.version) > version_key(older)):
                versions[package.name] = package.version
    return Resolution(kernel=newest_kernel(target, kernels), versions=versions)


def _guest_packages(suite: Suite, recipe: Recipe) -> tuple[str, ...]:
    return recipe.packages + suite.packages


def _read_index(target: Target, settings: Settings, store: Store, progress: Progress) -> dict[str, str]:
    """The texts of the Packages files, by pocket."""
    mirrors = find_mirrors(settings.mirror)
    # Named and locked as `Store.remove_rubbish` expects, which takes away what no live run holds.
    name = f"index-{target.id}"
    with (
        store.lock(name),
        tempfile.TemporaryDirectory(prefix=f"{name}.", dir=store.directory("tmp")) as temporary,
    ):
        work = Path(temporary)
        mmdebstrap(
            [
                "--variant=custom",
                "--customize-hook=sync-out /var/lib/apt/lists lists",
                target.suite.codename,
                "/dev/null",
                *map(mirrors.source_line, target.pockets),
            ],
            directory=work,
            log=_log(store, f"index-{target.id}"),
            what=f"{target.id}: asking the package index",
            progress=progress,
            timeout_s=_INDEX_TIMEOUT_S * settings.patience,
        )
        return {
            pocket: "\n\n".join(
                path.read_text(encoding="utf-8")
                for path in sorted((work / "lists").glob(f"*_dists_{pocket}_main_*_Packages"))
            )
            for pocket in target.pockets
        }


def _base_inputs(suite: Suite, recipe: Recipe, resolution: Resolution) -> Mapping[str, Any]:
    return {
        "codename": suite.codename,
        "pockets": list(suite.pockets),
        "versions": dict(sorted(resolution.versions.items())),
        "recipe": recipe.digest,
    }


def _obtain_base(
    target: Target, recipe: Recipe, inputs: Mapping[str, Any], store: Store, settings: Settings, progress: Progress
) -> StoredObject:
    suite = target.suite

    def build(work: Path) -> Mapping[str, Any]:
        mirrors = find_mirrors(settings.mirror)
        _write_overlay(work / "overlay.tar", {**recipe.overlay, "setup": recipe.setup}, executable=("setup",))
        mmdebstrap(
            [
                "--variant=apt",
                '--aptopt=APT::Install-Recommends "false"',
                "--dpkgopt=force-unsafe-io",
                "--dpkgopt=path-exclude=/usr/share/man/*",
                "--dpkgopt=path-exclude=/usr/share/locale/*",
                f"--include={','.join(_guest_packages(suite, recipe))}",
                "--customize-hook=tar-in overlay.tar /",
                '--customize-hook=chroot "$1" /setup && rm "$1/setup"',
                f"--customize-hook={recipe.pack}",
                "--customize-hook=download /srv/base.tar base.tar",
                suite.codename,
                "/dev/null",
                *map(mirrors.source_line, suite.pockets),
            ],
            directory=work,
            log=_log(store, f"base-{suite.id}"),
            what=f"{suite.id}: making the suite's base",
            progress=progress,
            timeout_s=_BASE_TIMEOUT_S * settings.patience,
        )
        (work / "overlay.tar").unlink()
        return {}

    return store.obtain("base", inputs, build, waiting=lambda: progress(f"{suite.id}: waiting for its base"))


def _build_image(
    target: Target,
    kernel: KernelPackages,
    recipe: Recipe,
    base: StoredObject,
    keys: LabKeys,
    work: Path,
    store: Store,
    settings: Settings,
    progress: Progress,
) -> Mapping[str, Any]:
    mirrors = find_mirrors(settings.mirror)
    (work / "base.tar").symlink_to(base.file("base.tar"))
    _write_overlay(
        work / "keys.tar",
        {
            "etc/ssh/ssh_host_ed25519_key": keys.host.read_text(),
            "etc/ssh/ssh_host_ed25519_key.pub": keys.public(keys.host) + "\n",
            **{f"etc/ssh/authorized_keys/{user}": keys.public(keys.user) + "\n" for user in (GUEST_USER, "root")},
        },
        private=("etc/ssh/ssh_host_ed25519_key",),
    )
    downloads = store.directory(f"downloads/{target.suite.id}")
    sources = "\n".join(map(mirrors.source_line, target.pockets))
    # A backported kernel may need a newer linux-base, which apt takes from backports only when told to.
    extra = target.pockets[len(target.suite.pockets) :]
    release = f"-t {extra[-1]} " if extra else ""
    chroot = 'DEBIAN_FRONTEND=noninteractive chroot "$1"'
    mmdebstrap(
        [
            "--variant=custom",
            # The base was packed with mmdebstrap's stand-ins for starting services in place; `seal` undoes them.
            "--skip=update,chroot/policy-rc.d,chroot/start-stop-daemon",
            "--setup-hook=tar-in base.tar /",
            f"--setup-hook=sync-in {downloads} /var/cache/apt/archives",
            "--customize-hook=tar-in keys.tar /",
            f"""--customize-hook=printf '%s\\n' '{sources}' >"$1/etc/apt/sources.list" """,
            f"--customize-hook={chroot} apt-get update",
            f"--customize-hook={chroot} apt-get install --yes --no-install-recommends {release}"
            f"-o Dpkg::Options::=--force-unsafe-io -o APT::Keep-Downloaded-Packages=true "
            f"{kernel.image}={kernel.version} {kernel.headers}={kernel.version}",
            '--customize-hook=rm -f "$1"/var/cache/apt/archives/lock; rm -rf "$1"/var/cache/apt/archives/partial',
            f"--customize-hook=sync-out /var/cache/apt/archives {downloads}",
            f"--customize-hook={chroot} sh -c 'apt-get clean; rm -rf /var/lib/apt/lists/*; dpkg-query -W >/packages'",
            "--customize-hook=download /packages packages",
            '--customize-hook=rm "$1/packages"',
            f"--customize-hook=RELEASE={kernel.release} DISK_SIZE={_DISK_SIZE}\n{recipe.seal}",
            *(
                f"--customize-hook=download /srv/out/{name} {name}"
                for name in ("disk.qcow2", "kernel", "initrd", "tools.tar")
            ),
            "",
            "/dev/null",
        ],
        directory=work,
        log=_log(store, f"image-{target.id}"),
        what=f"{target.id}: making the image of {kernel.release}",
        progress=progress,
        timeout_s=_IMAGE_TIMEOUT_S * settings.patience,
    )
    progress(f"{target.id}: unpacking its compiler")
    _unpack_tools(work / "tools.tar", work / "tools")
    installed = _installed(work / "packages")
    for name in ("base.tar", "keys.tar", "tools.tar", "packages"):
        (work / name).unlink()
    return {"target": target.id, "release": kernel.release, "packages": installed}


def _installed(listing: Path) -> dict[str, str]:
    """Versions of the packages that matter to a result: kernel, compiler, C library, perf."""
    rows = (line.split("\t") for line in listing.read_text().splitlines())
    wanted = ("linux-", "gcc-", "binutils", "libc6-dev", "make", "kmod", "pahole", "openssh-server", "systemd")
    return {name.partition(":")[0]: version for name, version in rows if name.startswith(wanted)}


def _write_overlay(
    path: Path, files: Mapping[str, str], *, executable: tuple[str, ...] = (), private: tuple[str, ...] = ()
) -> None:
    """A tar with every file owned by root, whoever builds, and the same bytes every time."""
    with tarfile.open(path, "w") as archive:
        for name, text in sorted(files.items()):
            row = tarfile.TarInfo(f"./{name}")
            row.size = len(text.encode())
            row.mode = 0o755 if name in executable else 0o600 if name in private else 0o644
            archive.addfile(row, io.BytesIO(text.encode()))


def _unpack_tools(archive: Path, directory: Path) -> None:
    """Unpack as plain files of this user: the tool root is read in a namespace where this user is root."""
    directory.mkdir()
    command = ["tar", "-x", "--no-same-owner", "--no-same-permissions", "-f", str(archive), "-C", str(directory)]
    unpacked = subprocess.run(command, capture_output=True, text=True, check=False)
    if unpacked.returncode != 0:
        raise AssetError("cannot unpack the tool root", detail=unpacked.stderr)
    subprocess.run(["chmod", "-R", "u+rwX", str(directory)], check=True)
    for name in ("dev", "proc", "build", "tmp"):
        (directory / name).mkdir(exist_ok=True)


def _log(store: Store, name: str) -> Path:
    log = store.directory("logs") / f"{name}.log"
    log.unlink(missing_ok=True)
    return log


def _image(target: Target, stored: StoredObject, keys: LabKeys) -> Image:
    try:
        release, packages = stored.facts["release"], stored.facts["packages"]
    except KeyError as error:
        raise AssetError(
            f"image {target.id}: its manifest lacks {error}", hint=f"vmlab images rm {target.id}"
        ) from None
    return Image(
        target_id=target.id,
        digest=stored.digest,
        release=release,
        disk=stored.file("disk.qcow2"),
        kernel=stored.file("kernel"),
        initrd=stored.file("initrd"),
        tool_root=stored.file("tools"),
        packages=packages,
        is_new=stored.is_new,
        size_bytes=stored.size_bytes,
        host_key=keys.public(keys.host),
        user_key=keys.user,
    )
