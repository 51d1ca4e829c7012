# SPDX-License-Identifier: MIT
"""Inputs of an image: chosen from the index, cached, and including every byte of the recipe."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from unit.fakes import target
from vmlab.catalogue.matrix import catalogue_directory
from vmlab.context import Context, Say, silent
from vmlab.errors import AssetError, UsageError
from vmlab.image import from_packages as packages
from vmlab.image import kernel_line as resolving
from vmlab.image.kernel_line import choose, resolve
from vmlab.image.recipe import Recipe, load_recipe
from vmlab.settings import load_settings
from vmlab.store.store import Store

_INDEX = """\
Package: linux-image-6.1.0-{abi}-cloud-amd64
Version: {version}

Package: linux-headers-6.1.0-{abi}-cloud-amd64
Version: {version}
Depends: linux-kbuild-6.1 (>= {version})

Package: linux-kbuild-6.1
Version: {version}

Package: make
Version: 4.3-4.1
"""
_OLDER = _INDEX.format(abi=55, version="6.1.169-1")
_NEWER = _INDEX.format(abi=56, version="6.1.170-1").replace("4.3-4.1", "4.3-4.1+deb12u1")
TARGET = target("debian12-6.1")


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    copy = tmp_path / "images"
    shutil.copytree(catalogue_directory(), copy)
    return copy


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def recipe() -> Recipe:
    return load_recipe("debian")


def _context(store: Store, directory: Path, *, notice: Say = silent, **options: str) -> Context:
    return Context(settings=load_settings(options, directory=directory, environment={}), store=store, notice=notice)


class Index:
    """Replaces the package index; `text` may be an error to raise."""

    def __init__(self, text: str | Exception) -> None:
        self.text = text
        self.asked = 0

    def __call__(self, *_: Any) -> dict[str, str]:
        self.asked += 1
        if isinstance(self.text, Exception):
            raise self.text
        return {"bookworm": self.text}


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Index:
    index = Index(_OLDER)
    monkeypatch.setattr(resolving, "read_index", index)
    return index


def test_the_newest_kernel_and_the_newest_version_of_each_package_are_chosen() -> None:
    resolution = choose(TARGET, {"bookworm": _OLDER, "bookworm-security": f"{_NEWER}\n\n{_OLDER}"}, ("make", "gcc-12"))
    assert resolution.kernel.release == "6.1.0-56-cloud-amd64"
    assert resolution.versions == {"make": "4.3-4.1+deb12u1"}


def test_backports_give_the_kernel_and_nothing_of_what_every_guest_has() -> None:
    index = {"bookworm": _OLDER, "bookworm-backports": _NEWER.replace("6.1.0-56", "6.12.5+deb12")}
    resolution = choose(target("debian12-6.12"), index, ("make",))
    assert resolution.kernel.release == "6.12.5+deb12-cloud-amd64"
    assert resolution.versions == {"make": "4.3-4.1"}


def test_each_architecture_has_a_base_and_downloads_of_its_own(recipe: Recipe) -> None:
    resolution = choose(TARGET, {"bookworm": _OLDER}, ("make",))
    native, foreign = target("debian12-6.1"), target("debian12-6.1-arm64")
    assert packages.base_inputs(native, recipe, resolution) != packages.base_inputs(foreign, recipe, resolution)
    assert packages.base_inputs(native, recipe, resolution) == packages.base_inputs(
        target("debian12-6.1-generic"), recipe, resolution
    )
    assert packages.suite_name(native) == "debian12"
    assert packages.suite_name(foreign) == "debian12-arm64"


def test_a_resolved_line_is_not_asked_for_again(store: Store, recipe: Recipe, index: Index, tmp_path: Path) -> None:
    first = resolve(TARGET, recipe, _context(store, tmp_path))
    index.text = _NEWER
    assert resolve(TARGET, recipe, _context(store, tmp_path)) == first
    assert index.asked == 1


def test_an_old_answer_is_asked_for_again(store: Store, recipe: Recipe, index: Index, tmp_path: Path) -> None:
    resolve(TARGET, recipe, _context(store, tmp_path))
    index.text = _NEWER
    assert resolve(TARGET, recipe, _context(store, tmp_path, index_days="0")).kernel.version == "6.1.170-1"


def test_an_old_answer_is_taken_with_a_notice_when_the_mirror_is_away(
    store: Store, recipe: Recipe, index: Index, tmp_path: Path
) -> None:
    notices: list[str] = []
    first = resolve(TARGET, recipe, _context(store, tmp_path))
    index.text = AssetError("the package mirror is unreachable")
    assert resolve(TARGET, recipe, _context(store, tmp_path, notice=notices.append, index_days="0")) == first
    assert len(notices) == 1
    assert "the package mirror is unreachable" in notices[0]


def test_without_an_old_answer_a_mirror_that_is_away_is_an_error(
    store: Store, recipe: Recipe, index: Index, tmp_path: Path
) -> None:
    index.text = AssetError("the package mirror is unreachable")
    with pytest.raises(AssetError, match="is unreachable"):
        resolve(TARGET, recipe, _context(store, tmp_path))


def test_a_line_that_has_gone_is_not_papered_over_by_an_old_answer(
    store: Store, recipe: Recipe, index: Index, tmp_path: Path
) -> None:
    resolve(TARGET, recipe, _context(store, tmp_path))
    index.text = ""
    with pytest.raises(AssetError, match="no kernel of line"):
        resolve(TARGET, recipe, _context(store, tmp_path, index_days="0"))


def test_work_on_the_index_is_no_rubbish_to_another_run(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mmdebstrap(*_: object, directory: Path, **__: object) -> None:
        Store(store.root).remove_rubbish()
        assert directory.is_dir()
        (directory / "lists").mkdir()
        (directory / "lists" / "example.org_debian_dists_bookworm_main_binary-amd64_Packages").write_text(_NEWER)

    monkeypatch.setattr(resolving, "mmdebstrap", mmdebstrap)
    context = _context(store, tmp_path, mirror="http://mirror.invalid/debian")
    resolution = resolve(TARGET, load_recipe("debian"), context)
    assert resolution.kernel.version == "6.1.170-1"
    assert not list((store.root / "tmp").iterdir())


def test_the_real_recipe_has_what_every_guest_needs() -> None:
    recipe = load_recipe("debian")
    assert {"make", "kmod", "sudo", "openssh-server", "strace"} <= set(recipe.packages)
    assert recipe.overlay


def test_every_file_of_a_recipe_is_in_its_digest(catalogue: Path) -> None:
    folder = catalogue / "recipes" / "debian"
    before = load_recipe("debian", catalogue).digest
    seen = {before}
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "README.md"]
    assert len(files) > 8
    for path in files:
        path.write_text(path.read_text() + "# changed\n")
        seen.add(load_recipe("debian", catalogue).digest)
    # A comment in packages.toml is not part of the digest.
    assert len(seen) == 1 + len(files) - 1


def test_a_package_more_is_another_digest(catalogue: Path) -> None:
    before = load_recipe("debian", catalogue).digest
    path = catalogue / "recipes" / "debian" / "packages.toml"
    path.write_text(path.read_text().replace("packages = [", 'packages = [\n  "gdb",', 1))
    assert load_recipe("debian", catalogue).digest != before


def test_a_file_more_in_the_overlay_is_another_digest(catalogue: Path) -> None:
    before = load_recipe("debian", catalogue).digest
    (catalogue / "recipes" / "debian" / "overlay" / "etc" / "motd").write_text("")
    assert load_recipe("debian", catalogue).digest != before


def test_a_recipe_that_is_not_there_or_misspelt_is_told(catalogue: Path) -> None:
    with pytest.raises(AssetError, match="no recipe for 'plan9'"):
        load_recipe("plan9", catalogue)
    path = catalogue / "recipes" / "debian" / "packages.toml"
    path.write_text(path.read_text().replace("packages = ", "pakages = ", 1))
    with pytest.raises(UsageError, match=r"packages\.toml: .*key"):
        load_recipe("debian", catalogue)
