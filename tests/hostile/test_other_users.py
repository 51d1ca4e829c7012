# SPDX-License-Identifier: MIT
"""Other users of the machine: they can take any name in /var/tmp, and hold any lock that they can open."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vmlab.errors import HostError
from vmlab.host.exclusive import alone, beside_others
from vmlab.machine import registry
from vmlab.machine.registry import machines, reap, room_for
from vmlab.system import scratch
from vmlab.system.files import remove_tree, replace_file
from vmlab.system.process import ProcessIdentity, run
from vmlab.system.scratch import ScratchDirectory, remove_left_behind

_NOBODY = 65534
_GONE = "vmlab-4194305-17"  # the scratch directory of a process above the kernel's largest pid
_needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's files")


@pytest.fixture(autouse=True)
def parent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory like /var/tmp: every user can make files in it. pytest's own directories are private."""
    with tempfile.TemporaryDirectory(prefix="hostile-", dir="/var/tmp") as name:
        parent = Path(name)
        parent.chmod(0o1777)
        monkeypatch.setattr(scratch, "PARENT", parent)
        yield parent


@pytest.fixture
def own(parent: Path) -> Path:
    """The directory of this user's scratch directories, where the lab makes it."""
    return parent / f"vmlab-{os.geteuid()}"


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    """A process of this user that the attacker wants to end."""
    with subprocess.Popen(["sleep", "60"]) as child:
        yield child
        child.kill()


def _record(pid: int, **changes: object) -> str:
    identity = ProcessIdentity.of(pid)
    qemu = {"pid": identity.pid, "started": identity.started} | dict.fromkeys(["executable"], "/usr/bin/sleep")
    if not hasattr(identity, "executable"):
        del qemu["executable"]  # as earlier versions wrote it
    row = {"target": "debian12-6.1", "qemu": qemu, "ssh_port": 22, "console": "", "expected_mib": 2**30}
    return json.dumps(row | {"is_kept": True} | changes)


def _by_nobody(path: Path) -> Path:
    """Give a file or a link to another user."""
    os.lchown(path, _NOBODY, _NOBODY)
    return path


def _planted_link(parent: Path, text: str) -> None:
    """A link to a directory that belongs to this user and in which every user can make files, as /tmp is root's."""
    public = parent / "public"
    public.mkdir()
    public.chmod(0o1777)
    (public / "machine.json").write_text(text)
    _by_nobody(public / "machine.json")
    (parent / f"{_GONE}-x").symlink_to(public)


def _planted_directory(parent: Path, text: str) -> None:
    directory = parent / f"{_GONE}-x"
    directory.mkdir()
    (directory / "machine.json").write_text(text)
    _by_nobody(directory / "machine.json")
    _by_nobody(directory)


def _planted_in_a_build(parent: Path, text: str) -> None:
    """A record in a directory that mmdebstrap's user may write to."""
    directory = parent / f"{_GONE}-x"
    directory.mkdir()
    directory.chmod(0o1777)
    (directory / "machine.json").write_text(text)
    _by_nobody(directory / "machine.json")


def _planted_hard_link(parent: Path, text: str) -> None:
    """A second name of a file of this user, whose text the attacker chose (in a cache, in a log)."""
    (parent / "elsewhere").write_text(text)
    directory = parent / f"{_GONE}-x"
    directory.mkdir()
    os.link(parent / "elsewhere", directory / "machine.json")


def _planted_parent(parent: Path, text: str) -> None:
    directory = parent / f"vmlab-{os.geteuid()}" / f"{_GONE}-x"
    directory.mkdir(parents=True)
    directory.parent.chmod(0o777)
    (directory / "machine.json").write_text(text)


Plant = Callable[[Path, str], None]
_PLANTS = [
    pytest.param(_planted_link, id="a link to a public directory", marks=_needs_root),
    pytest.param(_planted_directory, id="a directory", marks=_needs_root),
    pytest.param(_planted_in_a_build, id="a file in a build's directory", marks=_needs_root),
    pytest.param(_planted_hard_link, id="a second name of a file"),
    pytest.param(_planted_parent, id="below a parent that others can write"),
]


@pytest.mark.parametrize("plant", _PLANTS)
def test_a_planted_record_ends_no_process(parent: Path, victim: subprocess.Popen[bytes], plant: Plant) -> None:
    plant(parent, _record(victim.pid))

    said = reap()

    assert victim.poll() is None, said


@pytest.mark.parametrize("plant", _PLANTS)
def test_a_planted_promise_takes_no_memory(parent: Path, victim: subprocess.Popen[bytes], plant: Plant) -> None:
    plant(parent, _record(victim.pid))

    assert list(machines()) == []
    if plant is not _planted_parent:  # that one is refused in a line of its own
        with room_for(1, timeout_s=0):
            pass


@pytest.mark.parametrize(
    "make",
    [
        lambda path: os.mkfifo(path),
        lambda path: path.symlink_to("/proc/self/environ"),
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.mkdir(),
        lambda path: path.write_text("[" * 10**5),
        lambda path: path.write_text('"' + "x" * 2**20 + '"'),
        lambda path: path.write_bytes(b"\xff\xfe"),
    ],
    ids=["FIFO", "link", "endless link", "directory", "deep", "large", "not UTF-8"],
)
def test_an_odd_record_is_skipped_at_once(parent: Path, make: Callable[[Path], object]) -> None:
    directory = parent / f"{_GONE}-x"
    directory.mkdir(mode=0o700)
    make(directory / "machine.json")

    seen: list[object] = []
    reader = threading.Thread(target=lambda: seen.append(list(machines())), daemon=True)
    reader.start()
    reader.join(10)

    assert seen == [[]]


def test_a_process_that_runs_another_program_is_not_killed(own: Path, victim: subprocess.Popen[bytes]) -> None:
    own.mkdir(mode=0o711)
    directory = own / f"{_GONE}-x"
    directory.mkdir(mode=0o700)
    record = json.loads(_record(victim.pid))
    record["qemu"]["executable"] = "/usr/bin/qemu-system-x86_64"
    (directory / "machine.json").write_text(json.dumps(record))

    said = reap()

    assert victim.poll() is None
    assert f"left     process {victim.pid}: it is not the QEMU of debian12-6.1, or not yours" in said


def test_a_program_that_was_upgraded_while_it_ran_is_still_known(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(Path("/bin/sleep").read_bytes())
    program.chmod(0o755)
    with subprocess.Popen(["sleep", "60"], executable=program) as child:
        identity = ProcessIdentity.of(child.pid)
        program.unlink()

        assert identity.kill()

        assert child.wait(10) == -signal.SIGKILL


@_needs_root
@pytest.mark.parametrize("kind", ["directory", "link", "file", "FIFO"])
def test_a_name_that_another_user_took_is_one_line_that_names_him(own: Path, tmp_path: Path, kind: str) -> None:
    (tmp_path / "root").mkdir()
    makers: dict[str, Callable[[], object]] = {
        "directory": own.mkdir,
        "link": lambda: own.symlink_to(tmp_path / "root"),
        "file": own.touch,
        "FIFO": lambda: os.mkfifo(own),
    }
    makers[kind]()
    _by_nobody(own)

    with pytest.raises(HostError, match="only you can write") as caught:
        ScratchDirectory(needed_mib=1, what="a test")

    assert "nobody" in caught.value.one_line
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "root").iterdir()) == []


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777])
def test_an_own_directory_that_others_can_write_is_refused(own: Path, mode: int) -> None:
    own.mkdir()
    own.chmod(mode)

    with pytest.raises(HostError, match=f"with mode {mode:04o}"):
        ScratchDirectory(needed_mib=1, what="a test")


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_the_umask_does_not_matter(own: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with ScratchDirectory(needed_mib=1, what="a test") as directory:
            modes = [stat.S_IMODE(path.stat().st_mode) for path in (own, directory)]
        with beside_others(timeout_s=1), room_for(1, timeout_s=0):
            pass
    finally:
        os.umask(before)

    assert modes == [0o711, 0o700]


_AS_NOBODY = ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]


@_needs_root
def test_another_user_can_neither_list_nor_write_nor_lock(own: Path) -> None:
    with ScratchDirectory(needed_mib=1, what="a test") as directory:
        attacks = [
            ["ls", str(own)],
            ["touch", str(own / "x")],
            ["touch", str(directory / "x")],
            ["flock", "--nonblock", str(own), "true"],
            ["flock", "--nonblock", str(directory), "true"],
        ]
        statuses = [run([*_AS_NOBODY, *attack], timeout_s=10).status for attack in attacks]
        passes = run([*_AS_NOBODY, "stat", str(directory)], timeout_s=10)

    assert all(statuses), statuses
    assert passes.ok, "a QEMU or mmdebstrap that runs as another user could not reach its directory"


@_needs_root
@pytest.mark.parametrize("name", ["vmlab.room", "vmlab.turnstile", ""], ids=["room", "turnstile", "the directory"])
def test_a_lock_that_another_user_holds_stops_no_run(parent: Path, name: str) -> None:
    place = parent / name
    if name:
        place.touch()
        place.chmod(0o666)
    with subprocess.Popen([*_AS_NOBODY, "flock", str(place), "sh", "-c", "echo held; sleep 60"], stdout=-1) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        entered: list[str] = []

        def enter() -> None:
            with alone(timeout_s=1), room_for(1, timeout_s=0):
                entered.append("entered")

        entrant = threading.Thread(target=enter, daemon=True)
        entrant.start()
        entrant.join(10)
        holder.kill()

    assert entered == ["entered"]


@pytest.mark.parametrize("kind", ["FIFO", "link", "directory"])
def test_something_else_in_a_locks_place_is_one_line(own: Path, tmp_path: Path, kind: str) -> None:
    own.mkdir(mode=0o711)
    for name in ("vmlab.room", "vmlab.turnstile", "room.lock", "turnstile.lock", "start.lock"):
        makers: dict[str, Callable[[Path], object]] = {
            "FIFO": os.mkfifo,
            "link": lambda path: path.symlink_to(tmp_path / "target"),
            "directory": Path.mkdir,
        }
        makers[kind](own / name)
        makers[kind](own.parent / name)  # where earlier versions had them
    said: list[str] = []

    def enter() -> None:
        for block in (alone(timeout_s=0.1), beside_others(timeout_s=0.1), room_for(1, timeout_s=0)):
            try:
                with block:
                    said.append("entered")
            except HostError as error:
                said.append(error.one_line)

    entrant = threading.Thread(target=enter, daemon=True)
    entrant.start()
    entrant.join(10)

    assert [line.rpartition(": ")[2] for line in said] == ["it is not a regular file (remove it)"] * 3
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize("lock", ["room.lock", "start.lock"])
def test_a_lock_that_is_held_too_long_names_its_holder(own: Path, monkeypatch: pytest.MonkeyPatch, lock: str) -> None:
    monkeypatch.setattr(registry, "START_S", 0.2)
    own.mkdir(mode=0o711)
    with subprocess.Popen(["flock", str(own / lock), "sh", "-c", "echo held; cat"], stdin=-1, stdout=-1) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"

        with pytest.raises(HostError) as caught, alone(timeout_s=0.2), room_for(1, timeout_s=0):
            pytest.fail("entered")

        assert holder.stdin is not None
        holder.stdin.close()

    assert f"held by pid {holder.pid} of " in caught.value.message
    assert f"(flock {own / lock}"[:40] in caught.value.message


def test_a_planted_link_is_neither_removed_through_nor_followed(parent: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("x")
    (parent / f"{_GONE}-x").symlink_to(precious)
    seen: list[Path] = []

    remove_left_behind(seen.append)

    assert seen == []
    remove_tree(parent / f"{_GONE}-x")
    assert (precious / "file").read_text() == "x"


def test_directories_of_earlier_versions_are_removed(parent: Path) -> None:
    old = parent / f"{_GONE}-abc"
    old.mkdir()

    assert f"removed  {old}" in reap()
    assert not old.exists()


def test_what_a_killed_run_left_in_tmp_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    kinds = ("build", "source", "foreign", "kvm", "firmware")
    old = [tmp_path / f"vmlab-{kind}-x" for kind in kinds]
    for path in (*old, tmp_path / "vmlab-build-new", tmp_path / "other"):
        path.mkdir()
    for path in (*old, tmp_path / "other"):
        os.utime(path, (1, 1))

    reap()

    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"vmlab-build-new", "other"}


def test_a_link_beside_a_record_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("x")
    (tmp_path / f".machine.json.{os.getpid()}").symlink_to(tmp_path / "precious")

    replace_file(tmp_path / "machine.json", "new")

    assert (tmp_path / "precious").read_text() == "x"
    assert (tmp_path / "machine.json").read_text() == "new"


@pytest.mark.usefixtures("locks_as_on_nfs")
def test_scratch_directories_work_where_a_directory_cannot_be_locked(parent: Path) -> None:
    with ScratchDirectory(needed_mib=1, what="a test") as directory:
        assert scratch.is_locked(directory)
        with alone(timeout_s=1), room_for(1, timeout_s=0):
            pass
    assert not directory.exists()
