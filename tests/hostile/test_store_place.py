# SPDX-License-Identifier: MIT
"""Directories that are named as a store by mistake, and stores with other people's files and links: nothing is lost."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from vmlab.commands.main import main
from vmlab.errors import HostError
from vmlab.store.store import Store, StoredObject

_REMOVERS = (["images", "prune"], ["images", "prune", "--all"], ["images", "prune", "--damaged"], ["reap"])
_DIGEST = "0123456789abcdef0123"


def _fill(work: Path) -> Mapping[str, Any]:
    (work / "disk").write_text("disk")
    return {"target": "debian12-6.1", "release": "6.1.0-56-cloud-amd64"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The store that the command uses too (VMLAB_STORE)."""
    return Store(tmp_path / "store")


@pytest.fixture
def whole(store: Store) -> StoredObject:
    return store.obtain("image", {"kernel": "whole"}, _fill)


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """Somebody's directory, whose entries have names of the lab's form."""
    victim = tmp_path / "victim"
    for name in ("photos", _DIGEST, f"image-{_DIGEST}", f"image-{_DIGEST}.1"):
        (victim / name / _DIGEST).mkdir(parents=True)
        (victim / name / _DIGEST / "precious").write_text("precious")
    for path in (victim, *victim.rglob("*/")):
        path.chmod(0o755)
    return victim


def _state(directory: Path) -> dict[str, int]:
    return {str(path): stat.S_IMODE(path.stat().st_mode) for path in (directory, *directory.rglob("*"))}


@pytest.mark.parametrize(
    "link", ["objects", "objects/foo", f"objects/image/{_DIGEST}", "tmp", "parts", "downloads", "downloads/debian12"]
)
def test_a_link_in_a_store_leads_no_command_to_what_it_names(
    store: Store, whole: StoredObject, victim: Path, link: str
) -> None:
    del whole
    path = store.root / link
    path.parent.mkdir(exist_ok=True)
    if path.is_dir():
        shutil.rmtree(path)
    path.symlink_to(victim)
    before = _state(victim)

    for words in (*_REMOVERS, ["images", "rm", _DIGEST], ["images", "verify"]):
        main(words)

    assert _state(victim) == before


@pytest.mark.parametrize("link", ["objects", "objects/image", "tmp", "locks"])
def test_a_link_in_a_store_is_one_line_before_a_build(
    store: Store, whole: StoredObject, victim: Path, link: str
) -> None:
    del whole
    shutil.rmtree(store.root / link)
    (store.root / link).symlink_to(victim)
    before = _state(victim)

    with pytest.raises(HostError, match="a link in a store is not followed"):
        store.obtain("image", {"kernel": "new"}, lambda _: pytest.fail("was built"))

    assert _state(victim) == before


def test_a_link_in_an_objects_place_is_damage_and_only_the_link_goes(
    store: Store, whole: StoredObject, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole.path.rename(tmp_path / "elsewhere")
    whole.path.symlink_to(tmp_path / "elsewhere")

    assert main(["images", "verify"]) == 1
    assert main(["images", "prune", "--damaged"]) == 0

    assert f"removed  image    {whole.digest}" in capsys.readouterr().out
    assert not whole.path.is_symlink()
    assert (tmp_path / "elsewhere" / "disk").is_file()


def test_a_root_that_is_a_link_is_a_store(store: Store, whole: StoredObject, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(store.root)

    assert [item.digest for item in Store(tmp_path / "link").objects()] == [whole.digest]
    assert Store(tmp_path / "link").obtain("image", {"kernel": "new"}, _fill).is_new
    assert Store(tmp_path / "link").remove(whole)


_STRANGE = ("objects/stray", "objects/image/*", "objects/image/a\nb", f"objects/image/{'a' * 252}", "tmp/draft.txt")


@pytest.mark.parametrize("name", [*_STRANGE, "parts/list", f"tmp/{'a' * 252}.5", "downloads/thesis.pdf"])
def test_what_the_lab_did_not_make_is_told_and_left(
    store: Store, whole: StoredObject, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    path = store.root / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("x")

    assert [main(words) for words in _REMOVERS] == [0, 0, 0, 0]
    assert main(["images", "verify"]) == 0

    assert path.exists()
    told = capsys.readouterr().out
    assert told.count(f"unknown  {str(path)!r}: not made by vmlab") == 4
    assert not whole.path.exists()


def test_an_odd_name_does_not_reach_the_work_of_another_builder(store: Store, whole: StoredObject) -> None:
    (store.root / "objects" / "image" / "*").mkdir()
    work = store.directory(f"tmp/image-{_DIGEST}.999")

    with store.lock(f"image-{_DIGEST}"):
        assert main(["images", "prune", "--damaged"]) == 0

        assert work.is_dir()
        assert whole.path.is_dir()


def _git(root: Path) -> None:
    for name in ("objects/ab", "objects/pack", "refs"):
        (root / name).mkdir(parents=True)
    (root / "HEAD").write_text("ref: refs/heads/main")
    (root / "objects" / "ab" / ("c" * 38)).write_text("blob")


def _project(root: Path) -> None:
    for name in ("objects", "downloads/book", "tmp", "parts"):
        (root / name).mkdir(parents=True)
    (root / "downloads" / "book" / "thesis").write_text("x")


@pytest.mark.parametrize("make", [_git, _project])
@pytest.mark.parametrize("words", [*_REMOVERS, ["images", "rm", "debian12-6.1"], ["images", "ls"]], ids=" ".join)
def test_another_directory_is_not_a_store(
    store: Store, capsys: pytest.CaptureFixture[str], make: Callable[[Path], None], words: list[str]
) -> None:
    make(store.root)
    before = _state(store.root)

    assert main(words) == 1

    (line,) = capsys.readouterr().err.splitlines()
    assert f"{str(store.root)!r} is not a vmlab store" in line
    assert _state(store.root) == before
    with pytest.raises(HostError, match="is not a vmlab store"):
        store.obtain("image", {"kernel": "new"}, _fill)
    assert _state(store.root) == before


def test_the_command_in_the_hint_makes_a_directory_a_store(store: Store) -> None:
    _git(store.root)
    (store.root / ".vmlab-store").touch()

    assert store.obtain("image", {"kernel": "new"}, _fill).is_new
    assert main(["images", "prune", "--damaged"]) == 0
    assert (store.root / "objects" / "ab" / ("c" * 38)).is_file()


@pytest.mark.parametrize("kept", [("objects", "locks", "notes", "tmp"), ("objects", "notes"), ("locks",), ("notes",)])
def test_a_store_without_a_marker_goes_on_and_gets_one(
    store: Store, whole: StoredObject, kept: tuple[str, ...]
) -> None:
    """As an earlier version made it, or as GitHub's cache restores it."""
    store.remember("fact", 1)
    (store.root / ".vmlab-store").unlink()
    for path in [path for path in store.root.iterdir() if path.name not in kept]:
        shutil.rmtree(path)

    assert [item.digest for item in store.objects()] == ([whole.digest] if "objects" in kept else [])
    assert store.obtain("image", {"kernel": "new"}, _fill).is_new
    assert (store.root / ".vmlab-store").is_file()


def test_an_empty_directory_becomes_a_store(store: Store) -> None:
    store.root.mkdir()

    assert store.obtain("image", {"kernel": "new"}, _fill).is_new
