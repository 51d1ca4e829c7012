# SPDX-License-Identifier: MIT
"""Missing host packages, and the permission to install them."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmlab.catalogue.target import Architecture
from vmlab.errors import HostError
from vmlab.host import install
from vmlab.host.binfmt import native_architecture
from vmlab.system.process import Finished


class Host:
    """A host with some programs, and a record of the commands run on it."""

    def __init__(self, *programs: str) -> None:
        self.programs = set(programs)
        self.ran: list[str] = []
        self.sudo_works = False
        self.emulates = False
        self.registers = True
        self.lacks = ""
        """A package that the package manager does not have."""

    def runs_programs_of(self, architecture: Architecture) -> bool:
        return architecture is native_architecture() or self.emulates

    def find(self, name: str) -> str | None:
        return f"/usr/bin/{name}" if name in self.programs else None

    def run(self, argv: list[str], **_: object) -> Finished:
        self.ran.append(" ".join(argv))
        if argv[:2] == ["sudo", "-n"] and not self.sudo_works:
            return Finished(argv=tuple(argv), status=1, output="sudo: a password is required")
        if self.lacks and argv[-1] == self.lacks:
            output = f"Reading package lists...\nE: Package '{self.lacks}' has no installation candidate\n"
            return Finished(argv=tuple(argv), status=100, output=output)
        if "install" in argv:
            self.programs |= {row.name for row in install.REQUIREMENTS if row.package in argv}
        if "binfmt_misc" in argv[-1]:
            self.emulates = self.registers
        return Finished(argv=tuple(argv), status=0, output="")


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Host:
    fake = Host("apt-get", "sudo", "setpriv", "bwrap")
    keyring = tmp_path / "keyring.gpg"
    keyring.touch()
    rows = [row for row in install.REQUIREMENTS if not row.name.startswith("/")]
    monkeypatch.setattr(install, "REQUIREMENTS", tuple(rows))
    monkeypatch.setattr(install, "find_program", fake.find)
    monkeypatch.setattr(install, "run", fake.run)
    monkeypatch.setattr(install, "lacks_subordinate_ids", lambda: False)
    monkeypatch.setattr(install, "runs_programs_of", fake.runs_programs_of)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    return fake


def _be(monkeypatch: pytest.MonkeyPatch, uid: int) -> None:
    monkeypatch.setattr("os.geteuid", lambda: uid)


def test_root_installs_what_is_missing_and_needs_no_uidmap(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    _be(monkeypatch, 0)
    install.set_up(lambda _: None, [Architecture.AMD64])
    wanted = "apt-get install -y --no-install-recommends qemu-system-x86 qemu-utils mmdebstrap"
    assert host.ran == ["apt-get update -q", wanted]


def test_a_user_with_passwordless_sudo_installs_through_it(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    _be(monkeypatch, 1000)
    host.sudo_works = True
    install.set_up(lambda _: None, [Architecture.AMD64])
    assert host.ran[-1].startswith("sudo -n apt-get install -y")
    assert host.ran[-1].endswith("mmdebstrap uidmap")


def test_a_user_without_sudo_is_told_the_exact_command(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    _be(monkeypatch, 1000)
    with pytest.raises(HostError, match="missing on this host: qemu-system-x86_64, qemu-img, mmdebstrap") as caught:
        install.set_up(lambda _: None, [Architecture.AMD64])
    packages = "qemu-system-x86 qemu-utils mmdebstrap uidmap"
    assert caught.value.hint == f"type: sudo apt-get install -y --no-install-recommends {packages}"


def test_a_complete_host_runs_nothing(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    _be(monkeypatch, 1000)
    host.programs |= {"qemu-system-x86_64", "qemu-img", "mmdebstrap", "newuidmap"}
    install.set_up(lambda _: None, [Architecture.AMD64])
    assert host.ran == []


def test_another_distribution_is_told_the_programs(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    _be(monkeypatch, 0)
    host.programs.remove("apt-get")
    with pytest.raises(HostError, match="missing on this host: qemu-system-x86_64") as caught:
        install.set_up(lambda _: None, [Architecture.AMD64])
    assert "package manager" in caught.value.hint


def test_root_also_installs_what_is_optional(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    _be(monkeypatch, 0)
    host.programs |= _COMPLETE
    host.programs.remove("bwrap")
    install.set_up(lambda _: None, [Architecture.AMD64])
    assert host.ran == ["apt-get update -q", "apt-get install -y --no-install-recommends bubblewrap"]


def test_a_user_without_sudo_is_told_of_what_is_optional_and_goes_on(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    _be(monkeypatch, 1000)
    host.programs |= _COMPLETE
    host.programs.remove("bwrap")
    said: list[str] = []
    install.set_up(said.append, [Architecture.AMD64])
    assert len(said) == 1
    assert said[0].startswith("bubblewrap is not installed: it confines builds on this host")
    assert "type: sudo apt-get install -y --no-install-recommends bubblewrap" in said[0]


_BOTH = (Architecture.AMD64, Architecture.ARM64)
_COMPLETE = {"qemu-system-x86_64", "qemu-img", "mmdebstrap", "newuidmap"}


def test_arm64_targets_take_their_qemu_and_an_emulator_that_is_registered(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    _be(monkeypatch, 0)
    host.programs |= _COMPLETE
    install.set_up(lambda _: None, _BOTH)
    assert host.ran[1] == "apt-get install -y --no-install-recommends qemu-system-arm qemu-user-static"
    assert host.ran[2].startswith("sh -c ")
    assert "/usr/lib/binfmt.d/qemu-aarch64.conf" in host.ran[2]
    assert len(host.ran) == 3


def test_an_emulator_that_works_is_not_asked_for_by_name(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    _be(monkeypatch, 0)
    host.programs |= {*_COMPLETE, "qemu-system-aarch64"}
    host.emulates = True
    install.set_up(lambda _: None, _BOTH)
    assert host.ran == []


def test_an_emulator_is_registered_through_sudo(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    _be(monkeypatch, 1000)
    host.programs |= {*_COMPLETE, "qemu-system-aarch64", "qemu-aarch64-static"}
    host.sudo_works = True
    install.set_up(lambda _: None, _BOTH)
    assert host.ran[-1].startswith("sudo -n sh -c ")


def test_a_user_without_sudo_is_told_how_to_register_it(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    _be(monkeypatch, 1000)
    host.programs |= {*_COMPLETE, "qemu-system-aarch64", "qemu-aarch64-static"}
    with pytest.raises(HostError, match="the emulator for arm64 programs is not registered") as caught:
        install.set_up(lambda _: None, _BOTH)
    assert caught.value.hint.startswith("type: sudo ")


def test_an_emulator_that_the_kernel_does_not_take_is_an_error(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    _be(monkeypatch, 0)
    host.programs |= {*_COMPLETE, "qemu-system-aarch64", "qemu-aarch64-static"}
    host.registers = False
    with pytest.raises(HostError, match="cannot be registered with the kernel"):
        install.set_up(lambda _: None, _BOTH)


@pytest.mark.parametrize(
    ("machine", "architecture", "names"),
    [
        ("x86_64", Architecture.AMD64, {"qemu-system-x86_64"}),
        ("x86_64", Architecture.ARM64, {"qemu-system-aarch64", "qemu-aarch64-static"}),
        ("aarch64", Architecture.ARM64, {"qemu-system-aarch64"}),
        ("aarch64", Architecture.AMD64, {"qemu-system-x86_64", "qemu-x86_64-static"}),
    ],
)
def test_what_a_target_takes_depends_on_its_architecture_and_the_hosts(
    host: Host, monkeypatch: pytest.MonkeyPatch, machine: str, architecture: Architecture, names: set[str]
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    host.programs |= {"qemu-img", "mmdebstrap", "newuidmap"}
    assert {row.name for row in install.missing_requirements([architecture])} == names


def test_a_publishers_key_is_installed_with_the_program_that_uses_it(
    host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _be(monkeypatch, 0)
    host.programs |= _COMPLETE
    there = tmp_path / "key"
    there.touch()
    missing = ("/usr/share/distribution-gpg-keys/none/KEY", "/etc/none/KEY")
    install.set_up(lambda _: None, [Architecture.AMD64], keyrings=[missing, (str(there), missing[0]), ()])
    installed = [line.rpartition(" ")[2] for line in host.ran if " install " in line]
    assert installed == ["gpgv", "distribution-gpg-keys"]


def test_an_option_that_the_package_manager_lacks_is_told_with_its_reason(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    _be(monkeypatch, 0)
    host.programs |= _COMPLETE
    host.lacks = "distribution-gpg-keys"
    said: list[str] = []
    install.set_up(said.append, [Architecture.AMD64], keyrings=[("/usr/share/distribution-gpg-keys/none/KEY",)])
    assert said[-1].endswith("(E: Package 'distribution-gpg-keys' has no installation candidate)")
