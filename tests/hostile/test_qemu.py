# SPDX-License-Identifier: MIT
"""Attacks of a guest that has taken over its QEMU.

Some read /proc of a real QEMU, which runs only the board's BIOS. The others replace QEMU by a program that does what an
attacker would do in its place.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from vmlab.catalogue.target import Architecture
from vmlab.errors import VmlabError
from vmlab.host.accelerator import Accelerator
from vmlab.host.confinement import GROUP, USERS, Confinement, environment
from vmlab.image.image import Draft
from vmlab.machine.argv import MachineSpec, Memory, firmware_spec
from vmlab.machine.machine import Machine
from vmlab.machine.snapshot import Origin
from vmlab.system.process import ProcessIdentity, run
from vmlab.system.wait import wait_until

_QEMU = "qemu-system-x86_64"
_TOKEN = "ghp_planted_in_the_labs_environment"
_ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="QEMU has another user than the lab where the lab is root")
# Prints the names of the attempts that succeed.
_ATTACKER = """\
#!{python} -I
import glob, json, os
facts, scratch = json.load(open("{facts}")), os.environ["TMPDIR"]

def descriptor(name):
    return next(n for n in glob.glob("/proc/self/fd/*") if os.path.exists(n) and os.readlink(n).endswith("/" + name))

def reopen(name):
    os.close(os.open(descriptor(name), os.O_RDWR))

def write(name):
    os.write(int(os.path.basename(descriptor(name))), b"x")

attempts = dict(
    read_the_key=lambda: open(facts["key"]).read(),
    reopen_the_disk_for_writing=lambda: reopen("base.qcow2"),
    write_to_the_disk=lambda: write("base.qcow2"),
    open_the_disk_by_its_path=lambda: open(facts["disk"], "r+b"),
    reopen_the_console=lambda: reopen("console"),
    take_the_memory=lambda: os.chmod(descriptor("ram"), 0o666),
    set_back_the_time_of_the_memory=lambda: os.utime(descriptor("ram"), ns=(1, 1)),
    read_the_labs_environment=lambda: open("/proc/%d/environ" % facts["lab"], "rb").read(1),
    trace_the_lab=lambda: open("/proc/%d/mem" % facts["lab"], "rb"),
    signal_the_lab=lambda: os.kill(facts["lab"], 0),
    become_root=lambda: os.setresuid(0, 0, 0),
    list_the_scratch_directory=lambda: os.listdir(scratch),
    forge_the_machines_record=lambda: open(scratch + "/machine.json", "w"),
    read_the_labs_working_directory=lambda: open("secret.txt").read(),
)
done = []
for name, attempt in attempts.items():
    try:
        attempt()
        done.append(name)
    except OSError:
        pass
print(json.dumps(dict(tried=list(attempts), done=done)), flush=True)
"""
_ATTEMPTS = (
    "read_the_key",
    "reopen_the_disk_for_writing",
    "write_to_the_disk",
    "open_the_disk_by_its_path",
    "reopen_the_console",
    "take_the_memory",
    "set_back_the_time_of_the_memory",
    "read_the_labs_environment",
    "trace_the_lab",
    "signal_the_lab",
    "become_root",
    "list_the_scratch_directory",
    "forge_the_machines_record",
    "read_the_labs_working_directory",
)
_IMMORTAL = """\
#!{python} -I
import ctypes, os, signal, time

ctypes.CDLL(None).prctl(1, 0)  # PR_SET_PDEATHSIG
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
try:
    os.setsid()
except PermissionError:
    pass
print(os.getpid(), flush=True)
time.sleep(60)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A store and a machine in a directory that only its owner may enter, as that of a user."""

    directory: Path

    @property
    def disk(self) -> Path:
        return self.directory / "base.qcow2"

    @property
    def key(self) -> Path:
        return self.directory / "keys" / "user"

    @property
    def memory(self) -> Path:
        return self.directory / "ram"

    def machine(
        self, *, is_keepable: bool = False, confinement: Confinement | None = None, monitor_s: float = 60
    ) -> Machine:
        origin = Origin(base=self.disk, memory=Memory(file=self.memory, is_shared=True))
        draft = Draft(target_id="hostile", disk=self.disk)
        console = self.directory / "console"
        return Machine(
            draft,
            _spec(),
            console=console,
            origin=origin,
            is_keepable=is_keepable,
            monitor_s=monitor_s,
            confinement=confinement,
        )


def _spec() -> MachineSpec:
    return firmware_spec(Architecture.AMD64, Accelerator.TCG, cpus=1, memory_mib=64, uefi=None)


def _make_site(directory: Path) -> Site:
    site = Site(directory=directory)
    site.key.parent.mkdir()
    site.key.write_text("the private key of every guest")
    run(["qemu-img", "create", "-q", "-f", "qcow2", str(site.disk), "64M"], timeout_s=60)
    for path in (site.disk, site.key):
        path.chmod(0o600)
    (directory / "secret.txt").write_text("of the directory that the lab was started in")
    return site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return _make_site(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def pid(site: Site) -> Iterator[int]:
    """A real QEMU, started by a lab that has a token in its environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GITHUB_TOKEN", _TOKEN)
        with site.machine() as machine:
            yield machine.pid


def _status(pid: int) -> dict[str, str]:
    lines = Path("/proc", str(pid), "status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


@_ROOT_ONLY
def test_qemu_has_a_user_and_groups_of_its_own(pid: int) -> None:
    status = _status(pid)

    assert {int(user) for user in status["Uid"].split()} <= set(USERS)
    assert len(set(status["Uid"].split())) == 1
    assert status["Gid"].split() == [str(GROUP)] * 4
    assert status["Groups"] == ""


@_ROOT_ONLY
@pytest.mark.parametrize("kind", ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"])
def test_qemu_has_no_capability_and_can_gain_none(pid: int, kind: str) -> None:
    assert int(_status(pid)[kind], 16) == 0


def test_qemu_cannot_gain_privileges_by_a_program(pid: int) -> None:
    assert _status(pid)["NoNewPrivs"] == "1"


def test_every_thread_of_qemu_is_under_its_seccomp_filter(pid: int) -> None:
    threads = [int(thread.name) for thread in Path("/proc", str(pid), "task").iterdir()]

    assert len(threads) > 1
    # 2 is SECCOMP_MODE_FILTER (proc(5)).
    assert {_status(thread)["Seccomp"] for thread in threads} == {"2"}


def test_qemu_has_nothing_of_the_labs_environment(pid: int) -> None:
    words = Path("/proc", str(pid), "environ").read_bytes().decode().split("\0")

    # The shell that guards QEMU sets the others.
    assert {word.partition("=")[0] for word in words if word} <= {"PATH", "LC_ALL", "TMPDIR", "PWD", "SHLVL", "_"}
    assert _TOKEN not in "".join(words)


def test_qemu_leaves_no_core_dump_with_the_guests_memory(pid: int) -> None:
    limits = Path("/proc", str(pid), "limits").read_text()

    assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE)


def test_qemu_can_write_only_what_is_its_own(pid: int, site: Site) -> None:
    numbers = [path.name for path in Path("/proc", str(pid), "fd").iterdir()]
    writable = {
        str(Path("/proc", str(pid), "fd", number).readlink())
        for number in numbers
        if _flags(pid, number) & os.O_ACCMODE != os.O_RDONLY
    }

    files = {name for name in writable if name.startswith("/") and not name.startswith("/dev/")}
    assert {Path(name).name for name in files} == {"disk.qcow2", "ram", "console", "qemu.err", "serial.in"}
    assert str(site.memory) in files


def _flags(pid: int, number: str) -> int:
    text = Path("/proc", str(pid), "fdinfo", number).read_text()
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith("flags:")), 8)


def test_qemu_does_not_stand_in_the_labs_directory(pid: int) -> None:
    assert Path("/proc", str(pid), "cwd").readlink() == Path("/")


@_ROOT_ONLY
def test_two_machines_have_different_users(pid: int, tmp_path: Path) -> None:
    with _make_site(tmp_path).machine() as other:
        assert _status(other.pid)["Uid"] != _status(pid)["Uid"]


@pytest.fixture(scope="module")
def programs() -> Iterator[Path]:
    """A directory of programs that every user may enter, first in PATH."""
    directory = Path(tempfile.mkdtemp(prefix="hostile-", dir="/var/tmp"))
    directory.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
        yield directory
    shutil.rmtree(directory)


def _install(programs: Path, text: str) -> None:
    """Replace QEMU by a program."""
    (programs / _QEMU).write_text(text)
    (programs / _QEMU).chmod(0o755)


def _python() -> str:
    """An interpreter that every user may start: one below /root is not."""
    return "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable


@pytest.fixture(scope="module", params=[False, True], ids=["tied", "keepable"])
def achieved(
    request: pytest.FixtureRequest, programs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, set[str]]:
    """The attempts that succeeded, of an attacker under the restrictions and of one without."""
    return {
        name: _achieved(programs, tmp_path_factory.mktemp(name), confinement, is_keepable=request.param)
        for name, confinement in (("confined", Confinement(has_own_user=True)), ("free", Confinement()))
    }


def _achieved(programs: Path, directory: Path, confinement: Confinement, *, is_keepable: bool) -> set[str]:
    site = _make_site(directory)
    facts = {"key": str(site.key), "disk": str(site.disk), "lab": os.getpid()}
    (programs / "facts").write_text(json.dumps(facts))
    _install(programs, _ATTACKER.format(python=_python(), facts=programs / "facts"))
    machine = site.machine(is_keepable=is_keepable, confinement=confinement)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        with pytest.raises(VmlabError) as caught:
            machine.__enter__()
    said = json.loads(caught.value.detail)
    assert said["tried"] == list(_ATTEMPTS)
    return set(said["done"])


@_ROOT_ONLY
@pytest.mark.parametrize("attempt", _ATTEMPTS)
def test_a_qemu_that_was_taken_over_cannot(attempt: str, achieved: Mapping[str, set[str]]) -> None:
    assert attempt not in achieved["confined"]


@_ROOT_ONLY
def test_the_attacks_succeed_where_nothing_is_confined(achieved: Mapping[str, set[str]]) -> None:
    # Two fail anywhere: the disk's descriptor is read-only, and QEMU's working directory is not the lab's.
    assert set(_ATTEMPTS) - achieved["free"] == {"write_to_the_disk", "read_the_labs_working_directory"}


@pytest.mark.parametrize("is_keepable", [False, True], ids=["tied", "keepable"])
def test_a_qemu_that_ignores_signals_and_leaves_its_session_is_ended(
    programs: Path, tmp_path: Path, is_keepable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vmlab.machine.qemu.POLITE_S", 0.5)
    _install(programs, _IMMORTAL.format(python=_python()))
    site = _make_site(tmp_path)
    machine = site.machine(
        is_keepable=is_keepable, confinement=Confinement(has_own_user=os.geteuid() == 0), monitor_s=5
    )

    with pytest.raises(VmlabError) as caught:
        machine.__enter__()

    attacker = ProcessIdentity.of(int(caught.value.detail))
    wait_until(lambda: not attacker.is_alive(), timeout_s=3, describe="the attacker's end", interval_s=0.05)


def test_a_qemu_that_writes_without_end_costs_the_lab_little_memory(programs: Path, tmp_path: Path) -> None:
    _install(programs, "#!/bin/sh\nhead -c 20000000 /dev/zero | tr '\\0' x >&2; exit 1\n")
    machine = _make_site(tmp_path).machine(confinement=Confinement())

    with pytest.raises(VmlabError) as caught:
        machine.__enter__()

    assert 0 < len(caught.value.detail) <= 2**20


def test_a_qemu_gets_no_variable_by_another_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "LD_PRELOAD", "SSH_AUTH_SOCK", "QEMU_LOG", "VMLAB_STORE"):
        monkeypatch.setenv(name, _TOKEN)

    assert set(environment(tmp_path)) == {"PATH", "LC_ALL", "TMPDIR"}
