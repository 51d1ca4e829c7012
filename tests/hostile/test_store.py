# SPDX-License-Identifier: MIT
"""Damaged and odd stores: one object's damage stays its own, and what is no store is one line."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hostile.stores import INPUTS, fill, in_time
from vmlab.commands.main import main
from vmlab.errors import AssetError, HostError
from vmlab.image.keys import lab_keys
from vmlab.store.store import Store, StoredObject


@pytest.fixture
def damaged(store: Store, whole: StoredObject) -> Path:
    """The manifest of an object beside a whole one; a test damages it."""
    del whole
    return store.obtain("image", INPUTS, fill).file("manifest.json")


def _with(**changes: object) -> Callable[[Path], object]:
    return lambda path: path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _instead(make: Callable[[Path], object]) -> Callable[[Path], object]:
    def replace(path: Path) -> None:
        path.unlink()
        make(path)

    return replace


_ROW = {"size": 1, "disk": 1, "sha256": "0", "mtime_ns": 1}
_DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_text(""),
    "half": lambda path: path.write_text(path.read_text()[:50]),
    "binary": lambda path: path.write_bytes(bytes(range(256))),
    "list": lambda path: path.write_text("[]"),
    "null": lambda path: path.write_text("null"),
    "deep": lambda path: path.write_text("[" * 200_000),
    "large": lambda path: path.write_text(path.read_text() + " " * 2**23),
    "huge and sparse": lambda path: os.truncate(path, 2**36),
    "FIFO": _instead(os.mkfifo),
    "directory": _instead(Path.mkdir),
    "missing": _instead(lambda _: None),
    "dangling link": _instead(lambda path: path.symlink_to("nowhere")),
    "endless link": _instead(lambda path: path.symlink_to("/dev/zero")),
    "files a list": _with(files=[]),
    "files of strings": _with(files={"disk": "x"}),
    "a negative time": _with(files={"disk": _ROW | {"mtime_ns": "x"}}),
    "a file outside": _with(files={"../../../../keys/user": _ROW}),
    "inputs a list": _with(inputs=[1]),
    "other inputs": _with(inputs={"image": ["x"]}),
    "facts a string": _with(facts="x"),
    "a target that is a list": _with(facts={"target": ["x"], "release": "6.1"}),
    "a name with NUL": _with(files={"a\0b": _ROW}),
    "a name with a surrogate": _with(files={"a\ud800b": _ROW}),
    "a name with a line break": _with(files={"a\nb": _ROW}),
    "a long name": _with(files={"a" * 300: _ROW}),
    "a huge size": _with(files={"disk": _ROW | {"size": 10**18, "disk": 10**18}}),
    "a negative size": _with(files={"disk": _ROW | {"size": -5}}),
    "more on disk than in the file": _with(files={"disk": _ROW | {"disk": 10**18}}),
    "inputs nested deeply": lambda path: path.write_text('{"inputs": {"x": ' + "[" * 900 + "]" * 900 + "}}"),
    "created a word": _with(created="yesterday"),
}
_damages = pytest.mark.parametrize("damage", _DAMAGES.values(), ids=_DAMAGES.keys())


@_damages
def test_a_damaged_manifest_stops_nothing_else(
    damaged: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], object]
) -> None:
    damage(damaged)

    statuses = [in_time(functools.partial(main, words)) for words in (["targets"], ["images", "ls"])]

    told = capsys.readouterr()
    assert statuses == [0, 0]
    assert told.err.count(f"image {damaged.parent.name} in the store is damaged") == 2
    assert "Traceback" not in told.err
    assert "6.1.0-56-cloud-amd64" in told.out


@_damages
def test_the_command_in_the_hint_removes_a_damaged_manifest(
    store: Store,
    whole: StoredObject,
    damaged: Path,
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[Path], object],
) -> None:
    damage(damaged)
    assert in_time(lambda: main(["images", "verify"])) == 1
    assert f"damaged  image    {damaged.parent.name}" in capsys.readouterr().out

    assert in_time(lambda: main(["images", "prune", "--damaged"])) == 0

    assert [item.digest for item in store.objects()] == [whole.digest]
    assert not damaged.parent.exists()
    assert main(["images", "verify"]) == 0


def _disk_as_fifo(disk: Path) -> None:
    disk.unlink()
    os.mkfifo(disk)


def _disk_as_link(disk: Path) -> None:
    disk.unlink()
    disk.symlink_to("/dev/zero")


@pytest.mark.parametrize("damage", [_disk_as_fifo, _disk_as_link, lambda disk: os.truncate(disk, 2**40)])
def test_what_stands_in_a_disks_place_is_not_read_without_end(
    store: Store, whole: StoredObject, damage: Callable[[Path], object]
) -> None:
    damage(whole.file("disk"))

    def refusal() -> str:
        with pytest.raises(AssetError) as caught:
            store.find("image", whole.inputs)
        return caught.value.message

    assert "in the store is damaged: disk" in str(in_time(refusal))


@pytest.mark.parametrize(
    "make", [os.mkfifo, lambda path: path.write_text("[" * 200_000), lambda path: path.write_text("{")]
)
def test_a_damaged_note_counts_as_none(store: Store, make: Callable[[Path], object]) -> None:
    make(store.directory("notes") / "kvm.json")

    assert in_time(lambda: [store.note("kvm")]) == [None]


@pytest.mark.parametrize(
    "make",
    [
        os.mkfifo,
        lambda path: path.write_text("[" * 200_000),
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.write_bytes(b"\xff"),
    ],
    ids=["FIFO", "deep", "endless link", "binary"],
)
def test_a_damaged_record_of_proved_trees_counts_as_none(
    store: Store, whole: StoredObject, make: Callable[[Path], object]
) -> None:
    record = store.root / "notes" / f"tree-image-{whole.digest}.json"
    record.unlink()
    make(record)

    assert in_time(lambda: store.find("image", whole.inputs)) is not None


def test_folders_deeper_than_pythons_stack_are_read(store: Store, whole: StoredObject) -> None:
    folder = whole.file("tools")
    for _ in range(1200):
        folder /= "d"
        folder.mkdir()
    folder.joinpath("added").write_text("x")

    with pytest.raises(AssetError, match="damaged: tools has SHA-256"):
        store.verify(whole)
    with pytest.raises(AssetError, match="damaged: tools has SHA-256"):
        store.find("image", whole.inputs)
    assert store.remove(whole)


@pytest.mark.parametrize(
    "inputs", [{"image": {"id": "ubuntu"}}, {"image": ["x"], "base": ["x"]}, {"architecture": [1]}]
)
@pytest.mark.parametrize("words", [["images", "prune"], ["images", "rm", "debian12-6.1"]], ids=" ".join)
def test_inputs_that_are_no_text_stop_neither_prune_nor_rm(
    store: Store, whole: StoredObject, inputs: dict[str, object], words: list[str]
) -> None:
    """A publisher's image has a table there."""
    odd = store.obtain("image", inputs, fill)
    store.obtain("snapshot", {"image": odd.digest, "image_seal": odd.seal}, fill)

    assert main(words) == 0

    assert whole not in list(store.objects())


@pytest.mark.parametrize("name", ["disk", "tools"])
@pytest.mark.parametrize("size", [10**15, 2**40, 2**33])
def test_a_wrong_size_in_a_manifest_does_not_empty_the_store(
    store: Store, whole: StoredObject, damaged: Path, name: str, size: int
) -> None:
    manifest = json.loads(damaged.read_text())
    manifest["files"][name] |= {"size": size, "disk": size}
    damaged.write_text(json.dumps(manifest))

    bounded = Store(store.root, budget_gib=1)
    bounded.obtain("image", {"kernel": "new"}, fill)

    assert whole.path.is_dir()
    with pytest.raises(AssetError, match=rf"damaged: {name} has \d+ bytes, expected {size}"):
        store.verify(next(item for item in store.objects() if item.path == damaged.parent))


def _file(path: Path) -> None:
    path.write_text("x")


def _dangling(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


_COMMANDS = [
    ["images", "ls"],
    ["targets"],
    ["images", "verify"],
    ["images", "prune"],
    ["images", "rm", "debian12-6.1"],
    ["reap"],
]


@pytest.mark.parametrize("words", _COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_file, "is not a directory"),
        (os.mkfifo, "is not a directory"),
        (_dangling, "which does not exist"),
    ],
    ids=["file", "FIFO", "dangling link"],
)
def test_what_is_no_store_is_one_line(
    store: Store,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[Path], object],
    said: str,
    words: list[str],
) -> None:
    make(store.root)

    assert main(words) == 1

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"vmlab: the store {str(store.root)!r} is ")
    assert said in line
    assert "--vmlab-store" in line


def test_a_store_that_is_not_there_yet_is_empty(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["images", "ls"]) == 0
    assert not store.root.exists()
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("locks_as_on_nfs")
def test_an_object_is_removed_where_a_lock_takes_a_file_open_for_writing(store: Store, whole: StoredObject) -> None:
    with store.hold(whole.path):
        assert not store.remove(whole)

    assert store.remove(whole)
    assert store.remove_rubbish() == 0


@pytest.mark.parametrize("kind", ["FIFO", "link", "directory"])
def test_something_else_in_a_locks_place_is_one_line(store: Store, tmp_path: Path, kind: str) -> None:
    makers: dict[str, Callable[[Path], object]] = {
        "FIFO": os.mkfifo,
        "link": lambda path: path.symlink_to(tmp_path / "target"),
        "directory": Path.mkdir,
    }
    makers[kind](store.directory("locks") / "keys.lock")

    def refusal() -> str:
        with pytest.raises(HostError) as caught:
            lab_keys(store)
        return caught.value.one_line

    assert "is not a regular file (remove it)" in str(in_time(refusal))
    assert not (tmp_path / "target").exists()
