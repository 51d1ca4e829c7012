# SPDX-License-Identifier: MIT
"""What is missing on a host, and who may install it."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmlab.errors import HostError
from vmlab.host import install
from vmlab.process import Finished


class Host:
    """A host with some programs, and what was run on it."""

    def __init__(self, *programs: str) -> None:
        self.programs = set(programs)
        self.ran: list[str] = []
        self.sudo_works = False

    def find(self, name: str) -> str | None:
        return f"/usr/bin/{name}" if name in self.programs else None

    def run(self, argv: list[str], **_: object) -> Finished:
        self.ran.append(" ".join(argv))
        if argv[:2] == ["sudo", "-n"] and not self.sudo_works:
            return Finished(argv=tuple(argv), status=1, output="sudo: a password is required")
        if "install" in argv:
            self.programs |= {"qemu-system-x86_64", "qemu-img", "mmdebstrap", "newuidmap"}
        return Finished(argv=tuple(argv), status=0, output="")


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Host:
    fake = Host("apt-get", "sudo", "setpriv")
    keyring = tmp_path / "keyring.gpg"
    keyring.touch()
    rows = [row for row in install.REQUIREMENTS if not row.name.startswith("/")]
    monkeypatch.setattr(install, "REQUIREMENTS", tuple(rows))
    monkeypatch.setattr(install, "find_program", fake.find)
    monkeypatch.setattr(install, "run", fake.run)
    monkeypatch.setattr(install, "lacks_subordinate_ids", lambda: False)
    return fake


def _be(monkeypatch: pytest.MonkeyPatch, uid: int) -> None:
    monkeypatch.setattr("os.geteuid", lambda: uid)


def test_root_installs_what_is_missing_and_needs_no_uidmap(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    _be(monkeypatch, 0)
    install.set_up(lambda _: None)
    wanted = "apt-get install -y --no-install-recommends qemu-system-x86 qemu-utils mmdebstrap"
    assert host.ran == ["apt-get update -q", wanted]


def test_a_user_with_passwordless_sudo_installs_through_it(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    _be(monkeypatch, 1000)
    host.sudo_works = True
    install.set_up(lambda _: None)
    assert host.ran[-1].startswith("sudo -n apt-get install -y")
    assert host.ran[-1].endswith("mmdebstrap uidmap")


def test_a_user_without_sudo_is_told_the_exact_command(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    _be(monkeypatch, 1000)
    with pytest.raises(HostError, match="missing on this host: qemu-system-x86_64, qemu-img, mmdebstrap") as caught:
        install.set_up(lambda _: None)
    packages = "qemu-system-x86 qemu-utils mmdebstrap uidmap"
    assert caught.value.hint == f"type: sudo apt-get install -y --no-install-recommends {packages}"


def test_a_complete_host_runs_nothing(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    _be(monkeypatch, 1000)
    host.programs |= {"qemu-system-x86_64", "qemu-img", "mmdebstrap", "newuidmap"}
    install.set_up(lambda _: None)
    assert host.ran == []


def test_another_distribution_is_told_the_programs(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    _be(monkeypatch, 0)
    host.programs.remove("apt-get")
    with pytest.raises(HostError, match="missing on this host: qemu-system-x86_64") as caught:
        install.set_up(lambda _: None)
    assert "package manager" in caught.value.hint
