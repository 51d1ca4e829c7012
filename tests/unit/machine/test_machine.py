# SPDX-License-Identifier: MIT
"""One QEMU process, replaced by a script: errors for refused starts, and no leftovers."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from unit.fakes import image
from vmlab.errors import AssetError, HostError, KvmRefused, MachineLost
from vmlab.host.accelerator import Accelerator
from vmlab.host.confinement import Confinement
from vmlab.image.keys import make_keys
from vmlab.machine.argv import Memory, machine_spec
from vmlab.machine.machine import Machine
from vmlab.machine.snapshot import Origin
from vmlab.system import scratch

Install = Callable[[str, str], None]

# A QEMU that sends the greeting, accepts every command and names a port; it ends at `quit`. Its monitor is the
# descriptor named in its arguments.
_WELL = """\
#!{python}
import json, os, re, socket, sys, time
argv = " ".join(sys.argv)
open("{directory}/pid", "w").write(str(os.getpid()))
os.write(int(re.search(r"logfile=/dev/fdset/(\\d+)", argv)[1]), b"Linux version 6.1\\n")
monitor = socket.socket(fileno=int(re.search(r"id=monitor,fd=(\\d+)", argv)[1]))
send = lambda message: monitor.sendall(json.dumps(message).encode() + b"\\r\\n")
send({{"QMP": {{"version": {{"qemu": {{"micro": 0, "minor": 2, "major": 7}}, "package": ""}}, "capabilities": []}}}})
while raw := monitor.recv(65536):
    request = json.loads(raw)
    known = "TCP[HOST_FORWARD]  12  127.0.0.1 40123  10.0.2.15 22 0 0"
    answer = known if request["execute"] == "human-monitor-command" else {{}}
    send({{"return": answer, "id": request.get("id")}})
    if request["execute"] == "quit":
        sys.exit(0)
"""


@pytest.fixture(autouse=True)
def scratch_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    parent = tmp_path / "scratch"
    parent.mkdir()
    monkeypatch.setattr(scratch, "PARENT", parent)
    return scratch.own_parent()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")

    def install(name: str, text: str) -> None:
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)

    install("qemu-img", '#!/bin/sh\nfor overlay; do :; done; : >"$overlay"\n')
    for name in ("disk.qcow2", "kernel", "initrd"):
        (tmp_path / name).touch()
    return install


def _machine(directory: Path) -> Machine:
    described = image(directory)
    spec = machine_spec(described, Accelerator.TCG, cpus=2, memory_mib=1024)
    return Machine(described, spec, console=directory / "console", confinement=Confinement())


@pytest.fixture
def well(tmp_path: Path, install: Install) -> Machine:
    install("qemu-system-x86_64", _WELL.format(python=sys.executable, directory=tmp_path))
    return _machine(tmp_path)


def _left(directory: Path) -> list[Path]:
    """Directories of machines; the lock of starts stays."""
    return [path for path in directory.iterdir() if path.name != "start.lock"]


def test_a_machine_has_a_port_a_console_and_an_end(well: Machine, scratch_parent: Path) -> None:
    with well as machine:
        assert machine.ssh_port == 40123
        assert machine.is_alive()
        assert machine.console.text().rstrip().endswith("Linux version 6.1")
        machine.require_alive()
        assert len(_left(scratch_parent)) == 1
        pid = machine.pid
    assert not Path("/proc", str(pid)).exists()
    assert not machine.is_alive()
    assert _left(scratch_parent) == []
    machine.stop()


_READS_ITS_LINE = """\
line = socket.socket(fileno=int(re.search(r"id=line,fd=(\\d+)", argv)[1]))
line.settimeout(0)
try:
    open("{directory}/line", "wb").write(line.recv(65536))
except BlockingIOError:
    open("{directory}/line", "wb").close()
"""


@pytest.mark.parametrize("is_resumed", [False, True])
def test_a_guest_that_boots_finds_its_keys_at_its_port_and_a_resumed_one_nothing(
    tmp_path: Path, install: Install, monkeypatch: pytest.MonkeyPatch, is_resumed: bool
) -> None:
    text = _WELL.replace("while raw", f"{_READS_ITS_LINE}while raw")
    install("qemu-system-x86_64", text.format(python=sys.executable, directory=tmp_path))
    monkeypatch.setattr("vmlab.machine.machine.thaw", lambda *_: None)
    keys, well = make_keys(tmp_path), _machine(tmp_path)
    state = tmp_path / "state" if is_resumed else None
    origin = Origin(base=tmp_path / "disk.qcow2", state=state)

    with Machine(
        well.image, well.spec, console=tmp_path / "console", keys=keys, origin=origin, confinement=Confinement()
    ):
        assert (tmp_path / "line").read_bytes() == (b"" if is_resumed else keys.for_guest())


def test_a_machine_is_given_back_when_the_block_fails(well: Machine, scratch_parent: Path) -> None:
    with pytest.raises(KeyboardInterrupt), well:
        raise KeyboardInterrupt
    assert not well.is_alive()
    assert _left(scratch_parent) == []


def test_a_qemu_that_was_killed_is_lost_with_the_consoles_tail(well: Machine) -> None:
    with well as machine:
        os.kill(machine.pid, 9)
        while machine.is_alive():
            pass
        with pytest.raises(MachineLost, match="QEMU ended with status -9") as caught:
            machine.require_alive()
    assert "Linux version 6.1" in caught.value.detail


@pytest.mark.parametrize(
    ("words", "is_off"),
    [
        ("sys.exit(0)", True),
        ("sys.stderr.write('qemu: warning: no such feature'); sys.exit(0)", True),
        ("sys.exit(1)", False),
        ("sys.stderr.write('qemu: terminating on signal 15 from pid 1'); sys.exit(0)", False),
    ],
)
def test_a_guest_that_switched_itself_off_is_told_from_a_qemu_that_ended(
    tmp_path: Path, install: Install, words: str, is_off: bool
) -> None:
    quits = '    if request["execute"] == "quit":'
    text = _WELL.replace(quits, f'    if request["execute"] == "stop": {words}\n{quits}')
    install("qemu-system-x86_64", text.format(python=sys.executable, directory=tmp_path))
    with _machine(tmp_path) as machine:
        assert not machine.has_powered_off()
        with contextlib.suppress(MachineLost):
            machine.monitor.execute("stop")
        while machine.is_alive():
            pass
        assert machine.has_powered_off() is is_off


def test_a_kernel_that_panicked_is_lost_though_qemu_runs(well: Machine) -> None:
    with well as machine:
        machine.console.path.write_text("[    2.0] Kernel panic - not syncing: Attempted to kill init!\n")
        with pytest.raises(MachineLost, match="Attempted to kill init"):
            machine.require_alive()


def test_a_memory_file_that_cannot_be_given_away_costs_qemu_its_user_and_a_notice(
    tmp_path: Path, well: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", refuse)
    notices: list[str] = []
    origin = Origin(base=tmp_path / "disk.qcow2", memory=Memory(file=tmp_path / "ram", is_shared=True))
    machine = Machine(
        well.image,
        well.spec,
        console=tmp_path / "console",
        origin=origin,
        confinement=Confinement(has_own_user=True),
        notice=notices.append,
    )

    with machine:
        assert Path("/proc", str(machine.pid)).stat().st_uid == os.geteuid()

    (notice,) = notices
    assert notice.endswith(
        f"it runs as root ({tmp_path}/ram cannot be given to another group: Operation not permitted)"
    )


def test_a_qemu_that_refuses_is_the_hosts_fault_in_its_words(
    tmp_path: Path, install: Install, scratch_parent: Path
) -> None:
    install("qemu-system-x86_64", "#!/bin/sh\necho 'qemu: cannot set up guest memory: no memory' >&2; exit 1\n")
    with pytest.raises(HostError, match="QEMU did not start: qemu: cannot set up guest memory"), _machine(tmp_path):
        pass
    assert _left(scratch_parent) == []


@pytest.mark.parametrize(
    "words",
    [
        "Could not access KVM kernel module: Permission denied\nqemu: failed to initialize kvm: Permission denied",
        "qemu: -accel kvm: failed to initialize kvm: No such file or directory",
        "qemu: warning: no such feature\nioctl(KVM_CREATE_VM) failed: 16 Device or resource busy",
        "qemu: kvm_init_vcpu: kvm_get_vcpu failed (0): Operation not permitted",
    ],
)
@pytest.mark.parametrize("accelerator", list(Accelerator))
def test_a_qemu_that_is_refused_kvm_is_told_from_others(
    tmp_path: Path, install: Install, words: str, accelerator: Accelerator
) -> None:
    install("qemu-system-x86_64", f"#!/bin/sh\nprintf '%s\\n' '{words}' >&2; exit 1\n")
    described = image(tmp_path)
    spec = machine_spec(described, accelerator, cpus=2, memory_mib=1024)

    with (
        pytest.raises(HostError) as caught,
        Machine(described, spec, console=tmp_path / "console", confinement=Confinement()),
    ):
        pass

    assert isinstance(caught.value, KvmRefused) is (accelerator is Accelerator.KVM)
    assert "\n" not in caught.value.one_line
    assert caught.value.detail == words


def test_a_qemu_that_cannot_read_its_disk_is_the_images_fault(tmp_path: Path, install: Install) -> None:
    install("qemu-system-x86_64", '#!/bin/sh\necho "qemu: -drive: Image is not in qcow2 format" >&2; exit 1\n')
    with pytest.raises(AssetError, match=r"cannot read the image of debian12-6\.1") as caught, _machine(tmp_path):
        pass
    assert caught.value.hint == "vmlab images verify"


def test_a_qemu_that_ends_without_a_word_is_lost(tmp_path: Path, install: Install) -> None:
    install("qemu-system-x86_64", "#!/bin/sh\nexit 0\n")
    with pytest.raises(MachineLost), _machine(tmp_path):
        pass


def test_a_disk_that_cannot_be_made_is_the_images_fault(tmp_path: Path, install: Install) -> None:
    install("qemu-img", "#!/bin/sh\necho 'Could not open backing file'; exit 1\n")
    with pytest.raises(AssetError, match="qemu-img create failed on") as caught, _machine(tmp_path):
        pass
    assert "Could not open backing file" in caught.value.detail


def test_a_host_without_qemu_is_told_how_to_get_it(
    tmp_path: Path, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    del install
    monkeypatch.setattr("vmlab.machine.argv.qemu_program", lambda _: "qemu-system-no-such")
    with pytest.raises(HostError, match="qemu-system-no-such is not installed") as caught, _machine(tmp_path):
        pass
    assert caught.value.hint == "vmlab setup"


def test_a_machine_that_was_never_started_has_no_monitor(tmp_path: Path) -> None:
    machine = _machine(tmp_path)
    machine.stop()
    assert machine.pid == 0
    with pytest.raises(MachineLost, match="not started"):
        _ = machine.monitor
