# SPDX-License-Identifier: MIT
"""Damaged, odd and open stores: one object's damage stays its own, and what is no store is one line."""

from __future__ import annotations

import errno
import fcntl
import functools
import json
import multiprocessing
import os
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from vmlab.commands.main import main
from vmlab.commands.upkeep import verify
from vmlab.errors import AssetError, HostError, VmlabError
from vmlab.image.keys import lab_keys
from vmlab.store.store import Store, StoredObject
from vmlab.system.process import run

_INPUTS = {"kernel": "6.1"}
_NOBODY = 65534
_is_root = os.geteuid() == 0


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The store that the command uses too (VMLAB_STORE)."""
    return Store(tmp_path / "store")


def _fill(work: Path) -> Mapping[str, Any]:
    (work / "disk").write_bytes(b"disk" * 1000)
    (work / "tools" / "bin").mkdir(parents=True)
    (work / "tools" / "bin" / "gcc").write_text("compiler")
    return {"target": "debian12-6.1", "release": "6.1.0-56-cloud-amd64", "packages": {}}


@pytest.fixture
def whole(store: Store) -> StoredObject:
    return store.obtain("image", {"kernel": "whole"}, _fill)


@pytest.fixture
def damaged(store: Store, whole: StoredObject) -> Path:
    """The manifest of an object beside a whole one; a test damages it."""
    del whole
    return store.obtain("image", _INPUTS, _fill).file("manifest.json")


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


def _in_time(act: Callable[[], object]) -> object:
    """The result of `act`, which must not block: a FIFO without a writer would for ever."""
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(act()), daemon=True)
    thread.start()
    thread.join(30)
    assert results, "it blocked or raised"
    return results[0]


@_damages
def test_a_damaged_manifest_stops_nothing_else(
    damaged: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], object]
) -> None:
    damage(damaged)

    statuses = [_in_time(functools.partial(main, words)) for words in (["targets"], ["images", "ls"])]

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
    assert _in_time(lambda: main(["images", "verify"])) == 1
    assert f"damaged  image    {damaged.parent.name}" in capsys.readouterr().out

    assert _in_time(lambda: main(["images", "prune", "--damaged"])) == 0

    assert [item.digest for item in store.objects()] == [whole.digest]
    assert not damaged.parent.exists()
    assert main(["images", "verify"]) == 0


def _as_ordinary_user(act: Callable[[], None]) -> int:
    """Status of a child that does something as an ordinary user: modes do not stop root."""

    def child() -> None:
        if _is_root:
            os.setgroups([])
            os.setresgid(_NOBODY, _NOBODY, _NOBODY)
            os.setresuid(_NOBODY, _NOBODY, _NOBODY)
        act()

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(60)
    return -1 if process.exitcode is None else process.exitcode


@pytest.fixture
def users_store() -> Iterator[Store]:
    """A store of an ordinary user; pytest's own directories are root's when root runs it."""
    with tempfile.TemporaryDirectory(prefix="hostile-", dir="/var/tmp") as name:
        if _is_root:
            os.chown(name, _NOBODY, _NOBODY)
        yield Store(Path(name, "store"))


@pytest.mark.parametrize("which", ["manifest.json", "disk", ""], ids=["manifest", "disk", "object"])
def test_what_its_user_cannot_read_is_skipped_and_removed(users_store: Store, which: str) -> None:
    def attack() -> None:
        damaged, whole = (users_store.obtain("image", {"kernel": name}, _fill) for name in ("damaged", "whole"))
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
        users_store.obtain("image", _INPUTS, _fill)
        users_store.root.chmod(mode)
        refused = 0
        acts: tuple[Callable[[], object], ...] = (
            lambda: users_store.remember("fact", 1),
            lambda: list(users_store.objects()),
            lambda: users_store.obtain("base", _INPUTS, _fill),
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

    assert "in the store is damaged: disk" in str(_in_time(refusal))


@pytest.mark.parametrize(
    "make", [os.mkfifo, lambda path: path.write_text("[" * 200_000), lambda path: path.write_text("{")]
)
def test_a_damaged_note_counts_as_none(store: Store, make: Callable[[Path], object]) -> None:
    make(store.directory("notes") / "kvm.json")

    assert _in_time(lambda: [store.note("kvm")]) == [None]


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

    assert _in_time(lambda: store.find("image", whole.inputs)) is not None


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
    odd = store.obtain("image", inputs, _fill)
    store.obtain("snapshot", {"image": odd.digest, "image_seal": odd.seal}, _fill)

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
    bounded.obtain("image", {"kernel": "new"}, _fill)

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


_READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'


@pytest.mark.skipif(not _is_root, reason="mounting takes root")
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
        item = store.obtain("image", _INPUTS, _fill)
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
        item = users_store.obtain("image", _INPUTS, fill)
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


def test_an_object_is_removed_where_a_lock_takes_a_file_open_for_writing(
    store: Store, whole: StoredObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock = fcntl.flock

    def as_on_nfs(descriptor: int, how: int) -> None:
        if how & fcntl.LOCK_EX and fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", as_on_nfs)
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

    assert "is not a regular file (remove it)" in str(_in_time(refusal))
    assert not (tmp_path / "target").exists()


def test_a_full_disk_under_a_log_neither_hangs_the_child_nor_loses_its_output() -> None:
    started = time.monotonic()

    with pytest.raises(HostError, match="cannot write the log '/dev/full': No space left on device") as caught:
        # Several times what a pipe holds.
        run(["sh", "-c", "seq 200000; echo end"], timeout_s=60, log=Path("/dev/full"))

    assert time.monotonic() - started < 30
    assert "vmlab images prune" in caught.value.hint


@pytest.mark.skipif(not _is_root, reason="mounting takes root")
def test_a_disk_that_becomes_full_under_a_log_is_one_line(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], check=True)
    try:
        with pytest.raises(HostError, match="No space left on device"):
            run(["seq", "200000"], timeout_s=60, log=disk / "log")
        assert (disk / "log").read_text().startswith("1\n2\n")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("kind", ["FIFO", "link", "directory", "no directory"])
def test_a_log_that_is_no_file_is_one_line_before_the_program_starts(tmp_path: Path, kind: str) -> None:
    log = tmp_path / "log"
    makers: dict[str, Callable[[], object]] = {
        "FIFO": lambda: os.mkfifo(log),
        "link": lambda: log.symlink_to(tmp_path / "target"),
        "directory": log.mkdir,
        "no directory": lambda: tmp_path.rename(tmp_path.with_name(f"{tmp_path.name}-moved")),
    }
    makers[kind]()

    def refusal() -> str:
        with pytest.raises(HostError) as caught:
            run(["sh", "-c", f"touch {tmp_path}/started"], timeout_s=10, log=log)
        return caught.value.one_line

    assert "cannot write the log" in str(_in_time(refusal))
    assert not (tmp_path / "started").exists()
    assert not (tmp_path / "target").exists()


def test_a_callback_that_fails_does_not_hang_the_child() -> None:
    def fail(line: str) -> None:
        raise BrokenPipeError(line)

    with pytest.raises(BrokenPipeError):
        run(["seq", "200000"], timeout_s=60, on_line=fail)
