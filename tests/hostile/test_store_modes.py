# SPDX-License-Identifier: MIT
"""Stores that others can read or write, that their user cannot, and what is made under any umask."""

from __future__ import annotations

import multiprocessing
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hostile.stores import INPUTS, IS_ROOT, NOBODY, fill
from vmlab.commands.main import main
from vmlab.commands.upkeep import verify
from vmlab.errors import VmlabError
from vmlab.image.keys import lab_keys
from vmlab.store.store import Store, StoredObject


def _as_ordinary_user(act: Callable[[], None]) -> int:
    """Status of a child that does something as an ordinary user: modes do not stop root."""

    def child() -> None:
        if IS_ROOT:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
        act()

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(60)
    return -1 if process.exitcode is None else process.exitcode


@pytest.fixture
def users_store() -> Iterator[Store]:
    """A store of an ordinary user; pytest's own directories are root's when root runs it."""
    with tempfile.TemporaryDirectory(prefix="hostile-", dir="/var/tmp") as name:
        if IS_ROOT:
            os.chown(name, NOBODY, NOBODY)
        yield Store(Path(name, "store"))


@pytest.mark.parametrize("which", ["manifest.json", "disk", ""], ids=["manifest", "disk", "object"])
def test_what_its_user_cannot_read_is_skipped_and_removed(users_store: Store, which: str) -> None:
    def attack() -> None:
        damaged, whole = (users_store.obtain("image", {"kernel": name}, fill) for name in ("damaged", "whole"))
        damaged.file(which).chmod(0)
        say: list[str] = []
        assert not verify(users_store, (), say=say.append)
        unreadable = [digest for _, digest in users_store.unreadable()]
        assert unreadable == ([] if which == "disk" else [damaged.digest])
        assert users_store.discard("image", damaged.digest)
        assert [item.digest for item in users_store.objects()] == [whole.digest]

    assert _as_ordinary_user(attack) == 0


@pytest.mark.parametrize(("mode", "expected"), [(0o000, 5), (0o500, 1)])
def test_a_store_that_its_user_cannot_enter_or_write_is_one_line(users_store: Store, mode: int, expected: int) -> None:
    def attack() -> None:
        users_store.obtain("image", INPUTS, fill)
        users_store.root.chmod(mode)
        refused = 0
        acts: tuple[Callable[[], object], ...] = (
            lambda: users_store.remember("fact", 1),
            lambda: list(users_store.objects()),
            lambda: users_store.obtain("base", INPUTS, fill),
            lambda: users_store.note("fact"),
            lambda: users_store.remove_rubbish(),
            lambda: lab_keys(users_store),
        )
        for act in acts:
            try:
                act()
            except VmlabError:
                refused += 1
        users_store.root.chmod(0o700)
        assert refused == expected

    assert _as_ordinary_user(attack) == 0


_READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'


@pytest.mark.skipif(not IS_ROOT, reason="mounting takes root")
@pytest.mark.parametrize(
    ("words", "status"),
    [(["images", "ls"], 0), (["images", "verify"], 0), (["targets"], 0), (["images", "rm", "debian12-6.1"], 1)],
    ids=["ls", "verify", "targets", "rm"],
)
def test_a_read_only_store_is_read_and_a_write_is_one_line(
    store: Store, whole: StoredObject, words: list[str], status: int
) -> None:
    del whole
    lab_keys(store)
    script = f"import sys; sys.path[:0] = {sys.path!r}; from vmlab.__main__ import main; sys.exit(main(sys.argv[1:]))"
    argv = ["unshare", "--mount", "sh", "-c", _READ_ONLY, "sh", str(store.root), sys.executable, "-c", script, *words]

    ended = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)

    assert ended.returncode == status, ended.stderr
    assert "Traceback" not in ended.stderr
    assert len(ended.stderr.splitlines()) == status


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o277, 0o777])
def test_a_store_is_its_users_alone_whatever_the_umask(store: Store, umask: int) -> None:
    before = os.umask(umask)
    try:
        item = store.obtain("image", INPUTS, fill)
        keys = lab_keys(store)
        store.remember("fact", 1)
    finally:
        os.umask(before)

    folders = [
        store.root,
        *(store.root / name for name in ("objects", "objects/image", "keys", "locks", "notes", "tmp")),
    ]
    assert {stat.S_IMODE(path.stat().st_mode) for path in (*folders, item.path)} == {0o700}
    files = [item.file("disk"), item.file("manifest.json"), keys.user, keys.host, *(store.root / "locks").iterdir()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    if umask == 0o022:
        assert stat.S_IMODE(item.file("tools").stat().st_mode) == 0o755, "a build as another user could not enter it"


@pytest.mark.parametrize("umask", [0o277, 0o777])
def test_an_ordinary_user_can_use_what_was_made_under_an_odd_umask(users_store: Store, umask: int) -> None:
    def fill(work: Path) -> Mapping[str, Any]:
        (work / "disk").write_text("disk")
        return {}

    def attack() -> None:
        os.umask(umask)
        item = users_store.obtain("image", INPUTS, fill)
        keys = lab_keys(users_store)
        users_store.verify(item)
        assert lab_keys(users_store).digest == keys.digest
        assert users_store.remove(item)

    assert _as_ordinary_user(attack) == 0


def test_a_link_in_a_keys_place_is_replaced(store: Store, tmp_path: Path) -> None:
    (store.directory("keys") / "user").symlink_to(tmp_path / "elsewhere")

    keys = lab_keys(store)

    assert not (tmp_path / "elsewhere").exists()
    assert not keys.user.is_symlink()
    assert stat.S_IMODE(keys.user.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", [".", "keys", "objects/image"])
def test_verify_fails_for_a_store_that_others_can_write(
    store: Store, whole: StoredObject, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    del whole
    lab_keys(store)
    store.root.chmod(0o755)
    (store.root / name).chmod(0o777)

    assert main(["images", "verify"]) == 1

    assert f"writable {store.root / name} by other users" in capsys.readouterr().out


def test_verify_tells_a_store_that_others_can_read(
    store: Store, whole: StoredObject, capsys: pytest.CaptureFixture[str]
) -> None:
    del whole
    store.root.chmod(0o755)

    assert main(["images", "verify"]) == 0

    assert f"readable {store.root} by other users (chmod 700 " in capsys.readouterr().out


def test_verify_tells_a_store_whose_keys_others_can_read(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    lab_keys(store)
    subprocess.run(["chmod", "-R", "a+rX", str(store.root)], check=True)

    assert main(["images", "verify"]) == 0

    assert f"readable {store.root} by other users, with the keys of its guests" in capsys.readouterr().out


def test_the_documented_chmod_shares_a_store_without_keys(store: Store, whole: StoredObject, tmp_path: Path) -> None:
    subprocess.run(["chmod", "-R", "a+rX", str(store.root)], check=True)

    assert stat.S_IMODE(whole.file("disk").stat().st_mode) & 0o044 == 0o044
    reader = Store(tmp_path / "own", shared=store.root)
    assert reader.find("image", whole.inputs) is not None
    assert lab_keys(reader).user == reader.root / "keys" / "user"
    assert not (store.root / "keys").exists()
