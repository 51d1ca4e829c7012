# SPDX-License-Identifier: MIT
"""Packages installed in a cloud image's guest, their order, and all errors of the installation."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from unit.fakes import FakeConsole, FakeTransport, completed
from vmlab.catalogue.cloud_image import Algorithm, CloudImage, CloudKernel, Firmware, PackageManager
from vmlab.catalogue.target import Architecture, Flavour, Suite, Target
from vmlab.cloud import first_boot
from vmlab.cloud.first_boot import FirstBoot
from vmlab.cloud.install import Installed, Site, install, root_words
from vmlab.cloud.recipe import load_cloud_recipe
from vmlab.errors import AssetError
from vmlab.guest.transport import Completed
from vmlab.host.accelerator import Accelerator
from vmlab.host.limits import limits_for

_CONFIG = 'CONFIG_CC_VERSION_TEXT="x86_64-linux-gnu-gcc-12 (Ubuntu 12.3.0-1ubuntu1~22.04) 12.3.0"\n'
_GCC = "gcc-12 (Ubuntu 12.3.0-1ubuntu1~22.04) 12.3.0\n"
_OLD, _NEW = "5.15.0-160-generic", "6.8.0-90-generic"
_NO_NETWORK = """\
Err:1 http://archive.invalid/ubuntu jammy InRelease
  Temporary failure resolving 'archive.invalid'
E: Failed to fetch http://archive.invalid/ubuntu/dists/jammy/InRelease  Temporary failure resolving 'archive.invalid'
"""


class Guest(FakeTransport):
    """A guest with a package manager: the test sets the output and status of each verb."""

    def __init__(self) -> None:
        super().__init__()
        self.running = _OLD
        self.after_reboot = _NEW
        self.verbs: list[list[str]] = []
        self.outcomes: dict[str, Completed | str] = {
            "releases": f"{_OLD}\n{_NEW}\n",
            "config": _CONFIG,
            "compilers": _GCC,
        }
        self._boots = 0

    def run(self, command: str, *, timeout_s: float) -> Completed:
        if command == "uname -r":
            return completed(command, stdout=f"{self.running}\n")
        if command == "cat /proc/cmdline":
            return completed(
                command, stdout=f"BOOT_IMAGE=/vmlinuz-{self.running} root=LABEL=cloudimg-rootfs ro quiet\n"
            )
        if "boot_id" in command:
            return completed(command, stdout=f"{self._boots}\n")
        if command == "sudo -n systemctl reboot":
            self._boots += 1
            self.running = self.after_reboot
        words = shlex.split(command)
        if "/var/tmp/vmlab/guest.sh" in words and words[0] == "sudo":
            rest = words[words.index("/var/tmp/vmlab/guest.sh") + 1 :]
            verb = rest[2:] if rest[0] == "run" else rest
            self.verbs.append(verb)
            outcome = self.outcomes.get(verb[0], "")
            if verb[0] == "add" and verb[1] in self.outcomes:
                outcome = self.outcomes[verb[1]]
            return outcome if isinstance(outcome, Completed) else completed(command, stdout=outcome)
        return completed(command)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_boot, "LOOK_S", 0.001)


@pytest.fixture
def guest() -> Guest:
    return Guest()


_IMAGE = CloudImage(
    id="ubuntu22.04-amd64",
    urls=("http://x/x.img",),
    checksums=("http://x/SUMS",),
    algorithm=Algorithm.SHA256,
    firmware=Firmware.BIOS,
    user="ubuntu",
    package_manager=PackageManager.APT,
)
_CLOUD = CloudKernel(
    image=_IMAGE, kernel="linux-image-virtual-hwe-22.04", headers="linux-headers-{release}", compiler=""
)
NOTICES: list[str] = []


def _site(guest: Guest, *, line: str = "6.8", cloud: CloudKernel = _CLOUD) -> Site:
    NOTICES.clear()
    return Site(
        guest=FirstBoot(
            lambda: guest,
            name="ubuntu22.04-6.8",
            console=FakeConsole(),
            require_alive=lambda: None,
            has_powered_off=lambda: False,
            return_s=60.0,
        ),
        target=Target(
            id="ubuntu22.04-6.8",
            suite=Suite(id="ubuntu22.04", distribution="ubuntu", codename="jammy"),
            line=line,
            flavour=Flavour.CLOUD,
            architecture=Architecture.AMD64,
            pockets=(),
            is_default=False,
            cloud=cloud,
        ),
        cloud=cloud,
        recipe=load_cloud_recipe(PackageManager.APT),
        limits=limits_for(Accelerator.KVM),
        serial="ttyS0",
        progress=lambda _: None,
        notice=NOTICES.append,
    )


def _install(site: Site) -> Installed:
    return install(site, scripts=[Path("guest.sh")], archive=Path("settlement.tar"), device="/dev/vdz")


def test_kernel_reboot_headers_compiler_then_what_the_lab_needs(guest: Guest) -> None:
    installed = _install(_site(guest))
    assert installed == Installed(release=_NEW, root="root=LABEL=cloudimg-rootfs", compiler=_GCC.strip())
    assert [verb[0] for verb in guest.verbs] == [
        *("refresh", "add_kernel", "releases", "add", "config", "add", "compilers", "add_wanted", "settle", "take")
    ]
    assert guest.verbs[1] == ["add_kernel", "linux-image-virtual-hwe-22.04"]
    assert guest.verbs[3][:2] == ["add", f"linux-headers-{_NEW}"]
    assert guest.verbs[5] == ["add", "gcc-12"]
    assert f"linux-tools-{_NEW}" in guest.verbs[7]
    assert guest.verbs[8] == ["settle", "/var/tmp/vmlab/settlement.tar"]
    assert guest.verbs[9] == ["take", _NEW, "/dev/vdz"]
    assert guest.running == _NEW


def test_a_kernel_that_runs_already_is_not_rebooted_into(guest: Guest) -> None:
    guest.running = _NEW
    guest.after_reboot = "none"
    assert _install(_site(guest)).release == _NEW
    assert guest.running == _NEW


def test_a_row_without_a_kernel_keeps_the_one_that_its_image_boots_with(guest: Guest) -> None:
    installed = _install(_site(guest, line="5.15", cloud=replace(_CLOUD, kernel="")))
    assert installed.release == _OLD
    assert "add_kernel" not in [verb[0] for verb in guest.verbs]


def test_an_image_that_boots_with_another_line_is_told(guest: Guest) -> None:
    with pytest.raises(AssetError, match=f"ubuntu22.04-amd64 contains no kernel of line 6.8: it contains {_OLD}"):
        _install(_site(guest, cloud=replace(_CLOUD, kernel="")))


def test_a_guest_that_comes_back_with_another_kernel_is_told_with_both(guest: Guest) -> None:
    guest.after_reboot = _OLD
    with pytest.raises(AssetError, match=f"rebooted into {_OLD!r}, expected {_NEW!r}"):
        _install(_site(guest))


def test_a_kernel_line_that_moved_on_is_told_with_where_to(guest: Guest) -> None:
    guest.outcomes["releases"] = "6.11.0-29-generic\n"
    with pytest.raises(AssetError, match=r"no kernel of line 6.8: it contains 6.11.0-29-generic") as caught:
        _install(_site(guest))
    assert "row" in caught.value.hint


def test_a_kernel_package_that_is_gone_is_told_by_the_managers_own_words(guest: Guest) -> None:
    words = "E: Unable to locate package linux-image-virtual-hwe-22.04\n"
    guest.outcomes["add_kernel"] = completed("x", status=100, stdout=words)
    with pytest.raises(
        AssetError, match="a package is missing from its archives: Unable to locate package linux-image-v"
    ) as caught:
        _install(_site(guest))
    assert "kernel line was removed" in caught.value.hint


def test_a_package_manager_without_network_is_told(guest: Guest) -> None:
    guest.outcomes["refresh"] = completed("x", status=100, stdout=_NO_NETWORK)
    with pytest.raises(AssetError, match="archives are unreachable: Temporary failure resolving") as caught:
        _install(_site(guest))
    assert "network" in caught.value.hint
    assert "Err:1" in caught.value.detail


def test_a_failure_that_nobody_knows_shows_its_output(guest: Guest) -> None:
    guest.outcomes["settle"] = completed("x", status=1, stdout="tar: cannot open: Is a directory\n")
    with pytest.raises(
        AssetError, match="installing the lab's files ended with status 1: tar: cannot open: Is a"
    ) as caught:
        _install(_site(guest))
    assert "tar: cannot open" in caught.value.detail


def test_a_full_disk_in_the_guest_is_told(guest: Guest) -> None:
    guest.outcomes["gcc-12"] = completed("x", status=100, stdout="dpkg: x (No space left on device)\n")
    with pytest.raises(AssetError, match="the guest's disk is full"):
        _install(_site(guest))


def test_the_rows_own_compiler_goes_before_what_the_configuration_names(guest: Guest) -> None:
    _install(_site(guest, cloud=replace(_CLOUD, compiler="gcc-12-special")))
    assert guest.verbs[5] == ["add", "gcc-12-special"]


def test_no_compiler_at_all_is_the_rows_fault(guest: Guest) -> None:
    guest.outcomes["compilers"] = ""
    with pytest.raises(AssetError, match="gcc-12 contains no compiler named x86_64-linux-gnu-gcc-12 or gcc-12"):
        _install(_site(guest))


def test_a_compiler_of_another_version_is_taken_and_said(guest: Guest) -> None:
    guest.outcomes["compilers"] = "gcc (Ubuntu 11.4.0-1ubuntu1~22.04) 11.4.0\n"
    assert "11.4.0" in _install(_site(guest)).compiler
    assert len(NOTICES) == 1
    assert "12.3.0" in NOTICES[0]
    assert "11.4.0" in NOTICES[0]


def test_a_kernel_that_does_not_say_what_built_it_is_told(guest: Guest) -> None:
    guest.outcomes["config"] = "CONFIG_64BIT=y\n"
    with pytest.raises(AssetError, match="the kernel's compiler is unknown"):
        _install(_site(guest))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("BOOT_IMAGE=/vmlinuz root=UUID=1-2 ro rootflags=subvol=root quiet", "root=UUID=1-2 rootflags=subvol=root"),
        ("root=/dev/vda1 ro console=ttyS0 net.ifnames=0", "root=/dev/vda1"),
        ("root=/dev/mapper/vg-root rd.lvm.lv=vg/root crashkernel=auto", "root=/dev/mapper/vg-root rd.lvm.lv=vg/root"),
    ],
)
def test_only_what_finds_the_root_file_system_is_kept(line: str, words: str) -> None:
    assert root_words(line) == words


def test_no_root_is_told() -> None:
    with pytest.raises(AssetError, match="no root="):
        root_words("quiet splash")


def test_the_output_goes_to_the_serial_port_and_questions_do_not(guest: Guest) -> None:
    spoken: list[str] = []
    real = guest.run

    def listen(command: str, *, timeout_s: float) -> Completed:
        spoken.append(command)
        return real(command, timeout_s=timeout_s)

    guest.run = listen  # type: ignore[method-assign]
    _install(_site(guest))
    assert any("guest.sh run /dev/ttyS0 refresh" in command for command in spoken)
    assert any(command.endswith(f"guest.sh config {_NEW}") for command in spoken)
    assert spoken[0].startswith("sudo -n install -d -o ubuntu ")
