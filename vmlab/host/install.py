# SPDX-License-Identifier: MIT
"""Programs that the lab needs on this host, and their installation."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vmlab.catalogue.target import Architecture
from vmlab.errors import HostError
from vmlab.host.binfmt import EMULATORS, native_architecture, runs_programs_of
from vmlab.host.firmware import PACKAGES, has_uefi
from vmlab.system.process import find_program, run

_INSTALL_TIMEOUT_S = 1800
_SUBORDINATE_IDS = "100000-165535"
# Debian's qemu-user-static ships the binfmt.d file, with the flag F (Documentation/admin-guide/binfmt-misc.rst).
# Before Debian 12 and on older Ubuntu releases binfmt-support has the same entry.
_REGISTER = """
set -e
place=/proc/sys/fs/binfmt_misc
[ -e $place/register ] || mount -t binfmt_misc binfmt_misc $place
if [ -e /usr/lib/binfmt.d/{name}.conf ]; then
  cat /usr/lib/binfmt.d/{name}.conf >$place/register
else
  update-binfmts --enable {name}
fi
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """A program (or a file) and the package that provides it, under the same name in Debian and Ubuntu."""

    name: str
    package: str
    reason: str
    is_for_ordinary_users_only: bool = False
    architecture: Architecture | None = None
    """Architecture whose targets need it; None if all need it."""
    is_emulator: bool = False
    """True for an emulator of user programs, needed only on hosts of another architecture."""
    is_optional: bool = False
    """True if the lab works without it, but less well; the reason says how."""
    is_firmware: bool = False
    """True for UEFI firmware, needed only by some cloud images."""

    def is_there(self) -> bool:
        if self.is_firmware and self.architecture is not None:
            return has_uefi(self.architecture)
        if self.is_emulator and self.architecture is not None and runs_programs_of(self.architecture):
            return True
        return Path(self.name).exists() if self.name.startswith("/") else find_program(self.name) is not None


REQUIREMENTS = (
    Requirement(
        name="qemu-system-x86_64",
        package="qemu-system-x86",
        reason="runs the guests",
        architecture=Architecture.AMD64,
    ),
    Requirement(
        name="qemu-system-aarch64",
        package="qemu-system-arm",
        reason="runs arm64 guests",
        architecture=Architecture.ARM64,
    ),
    *(
        Requirement(
            name=emulator,
            package="qemu-user-static",
            reason=f"runs {architecture} programs while images and modules are made",
            architecture=architecture,
            is_emulator=True,
        )
        for architecture, emulator in EMULATORS.items()
    ),
    *(
        Requirement(
            name=package,
            package=package,
            reason=f"starts {architecture} cloud images by UEFI",
            architecture=architecture,
            is_firmware=True,
        )
        for architecture, package in PACKAGES.items()
    ),
    Requirement(name="qemu-img", package="qemu-utils", reason="makes their disks"),
    Requirement(name="mmdebstrap", package="mmdebstrap", reason="makes images out of packages"),
    Requirement(
        name="/usr/share/keyrings/debian-archive-keyring.gpg",
        package="debian-archive-keyring",
        reason="verifies Debian's packages",
    ),
    Requirement(
        name="newuidmap",
        package="uidmap",
        reason="lets an ordinary user run mmdebstrap",
        is_for_ordinary_users_only=True,
    ),
    Requirement(name="setpriv", package="util-linux", reason="ties QEMU's life to the lab's"),
    Requirement(
        name="bwrap",
        package="bubblewrap",
        reason="confines builds on this host; without it the lab's own sandbox does",
        is_optional=True,
    ),
)
_KEYS_REASON = "lets `vmlab images lock` check publishers' signatures"
# Packages of publishers' keys, by the beginning of a key file's path. Ubuntu and Debian 13 have both, Debian 12 none.
_KEY_PACKAGES = {
    "/usr/share/keyrings/ubuntu-": "ubuntu-keyring",
    "/usr/share/distribution-gpg-keys/": "distribution-gpg-keys",
}


def missing_requirements(
    architectures: Iterable[Architecture], *, uefi: Iterable[Architecture] = ()
) -> list[Requirement]:
    """Requirements of targets of these architectures that are missing here, without the optional ones; `uefi` are the
    architectures with a target that boots by UEFI."""
    these, by_uefi = tuple(architectures), tuple(uefi)
    needed = [row for row in REQUIREMENTS if not row.is_optional and _is_needed(row, these, by_uefi)]
    return [row for row in needed if not row.is_there()]


def missing_options(keyrings: Iterable[Sequence[str]] = ()) -> list[Requirement]:
    """Optional requirements that are missing here; each of `keyrings` lists the places of one publisher's key."""
    options = [row for row in REQUIREMENTS if row.is_optional]
    places = [names for names in keyrings if not any(Path(name).exists() for name in names)]
    packages = {
        package: Requirement(name=name, package=package, reason=_KEYS_REASON, is_optional=True)
        for names in places
        for name in names
        for start, package in _KEY_PACKAGES.items()
        if name.startswith(start)
    }
    if packages:
        options.append(Requirement(name="gpgv", package="gpgv", reason=_KEYS_REASON, is_optional=True))
    return [row for row in (*options, *packages.values()) if not row.is_there()]


def _is_needed(row: Requirement, architectures: tuple[Architecture, ...], uefi: tuple[Architecture, ...]) -> bool:
    if row.architecture is not None and row.architecture not in (uefi if row.is_firmware else architectures):
        return False
    if row.is_emulator and row.architecture is native_architecture():
        return False
    return not (row.is_for_ordinary_users_only and os.geteuid() == 0)


def install_command(requirements: list[Requirement]) -> str:
    """Command that installs the requirements, for root or sudo."""
    packages = " ".join(row.package for row in requirements)
    return f"apt-get install -y --no-install-recommends {packages}"


def set_up(
    say: Callable[[str], None],
    architectures: Iterable[Architecture],
    *,
    uefi: Iterable[Architecture] = (),
    keyrings: Iterable[Sequence[str]] = (),
) -> None:
    """Install the requirements of targets of these architectures, of which `uefi` boot by UEFI firmware, and the keys
    of publishers: each of `keyrings` lists the places of one.

    Needs root or passwordless sudo, else raises `HostError` with the command to type. Does nothing if all are
    installed; needs the package mirrors otherwise. An optional one that cannot be installed is reported with `say`.
    """
    architectures, uefi = tuple(architectures), tuple(uefi)
    missing = missing_requirements(architectures, uefi=uefi)
    if missing:
        prefix = _privilege(missing)
        say(f"installing {', '.join(row.package for row in missing)}")
        _apt([*prefix, "apt-get", "update", "-q"])
        _apt([*prefix, *install_command(missing).split()])
        still = missing_requirements(architectures, uefi=uefi)
        if still:
            raise HostError(f"still missing after installation: {', '.join(row.name for row in still)}")
    _add_options(say, keyrings)
    _allow_subordinate_ids(say)
    for architecture in architectures:
        if not runs_programs_of(architecture):
            _register_emulator(architecture, say)


def _add_options(say: Callable[[str], None], keyrings: Iterable[Sequence[str]]) -> None:
    for row in missing_options(keyrings):
        try:
            prefix = _privilege([row])
            say(f"installing {row.package}")
            _apt([*prefix, "apt-get", "update", "-q"])
            _apt([*prefix, *install_command([row]).split()])
        except HostError as error:
            # apt-get ends its output with the reason.
            why = error.detail.strip().rpartition("\n")[2] or error.hint or error.message
            say(f"{row.package} is not installed: it {row.reason} ({why})")


def lacks_subordinate_ids() -> bool:
    """True if an ordinary user has no range in /etc/subuid or /etc/subgid, which mmdebstrap needs."""
    if os.geteuid() == 0:
        return False
    user = getpass.getuser()
    return not all(_has_range(Path(name), user) for name in ("/etc/subuid", "/etc/subgid"))


def _has_range(path: Path, user: str) -> bool:
    try:
        rows = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    return any(row.split(":")[0] in (user, str(os.getuid())) for row in rows)


def _allow_subordinate_ids(say: Callable[[str], None]) -> None:
    if not lacks_subordinate_ids():
        return
    user = getpass.getuser()
    command = f"usermod --add-subuids {_SUBORDINATE_IDS} --add-subgids {_SUBORDINATE_IDS} {user}"
    if not _may_sudo():
        raise HostError(f"user {user!r} has no range in /etc/subuid and /etc/subgid", hint=f"type: sudo {command}")
    say(f"adding a range of subordinate user ids for {user}")
    done = run(["sudo", "-n", *command.split()], timeout_s=60)
    if not done.ok:
        raise HostError(f"cannot give {user!r} a range in /etc/subuid", hint=f"type: sudo {command}", detail=done.tail)


def _register_emulator(architecture: Architecture, say: Callable[[str], None]) -> None:
    """Register the installed emulator with the kernel; systemd does the same at the next boot of the host."""
    script = _REGISTER.format(name=EMULATORS[architecture].removesuffix("-static"))
    if os.geteuid() != 0 and not _may_sudo():
        raise HostError(
            f"the emulator for {architecture} programs is not registered with the kernel", hint=f"type: sudo {script}"
        )
    say(f"registering the emulator for {architecture} programs with the kernel")
    done = run([*([] if os.geteuid() == 0 else ["sudo", "-n"]), "sh", "-c", script], timeout_s=60)
    if not done.ok or not runs_programs_of(architecture):
        raise HostError(
            f"the emulator for {architecture} programs cannot be registered with the kernel",
            hint="in a container, register it on the container's host; otherwise see the kernel's binfmt-misc.rst",
            detail=done.tail,
        )


def _privilege(missing: list[Requirement]) -> list[str]:
    """Command prefix for apt-get; raises `HostError` with the full command when this user may not install."""
    names = ", ".join(row.name for row in missing)
    if find_program("apt-get") is None:
        raise HostError(f"missing on this host: {names}", hint="install them with this host's package manager")
    if os.geteuid() == 0:
        return []
    if _may_sudo():
        return ["sudo", "-n"]
    raise HostError(f"missing on this host: {names}", hint=f"type: sudo {install_command(missing)}")


def _may_sudo() -> bool:
    return find_program("sudo") is not None and run(["sudo", "-n", "true"], timeout_s=30).ok


def _apt(argv: list[str]) -> None:
    done = run(argv, timeout_s=_INSTALL_TIMEOUT_S, environment={"DEBIAN_FRONTEND": "noninteractive"})
    if not done.ok:
        raise HostError(f"{' '.join(argv)!r} failed", hint="its output is below", detail=done.tail)
