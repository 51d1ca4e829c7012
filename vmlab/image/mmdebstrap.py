# SPDX-License-Identifier: MIT
"""Runs of mmdebstrap: scratch space, timeout, and causes of failures."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from vmlab.catalogue.target import Architecture
from vmlab.context import Say
from vmlab.errors import AssetError, HostError
from vmlab.host.binfmt import native_architecture, require_programs_of
from vmlab.store.store import Store
from vmlab.system.files import remove_tree
from vmlab.system.process import find_program, run
from vmlab.system.scratch import PARENT, ScratchDirectory

_NEEDED_MIB = 3072
_EMULATION_FACTOR = 4
"""Factor of the timeout under emulation, a generous guess. An arm64 base took 430 s on two amd64 cores, and 25 minutes
on busy ones; a whole native image takes about two minutes."""
_UNREACHABLE = re.compile(
    r"Could not resolve|Unable to connect|Connection (?:refused|timed out|failed)|Temporary failure resolving"
    r"|Failed to fetch|does not have a Release file|Could not connect|Cannot initiate the connection"
)
_LACKING = re.compile(r"Failed to fetch .*\.deb\s+404 ")
_NO_SPACE = re.compile(r"No space left on device|enough free space|Disk quota exceeded")
_EXPIRED = re.compile(r"Release file for .* is expired")
_NO_NAMESPACE = re.compile(r"unshare|newuidmap|subuid|user namespace", re.IGNORECASE)


def mmdebstrap(
    arguments: Sequence[str],
    *,
    architecture: Architecture,
    directory: Path,
    log: Path,
    what: str,
    progress: Say,
    timeout_s: float,
) -> None:
    """Run mmdebstrap in `directory` (where its special hooks read and write); its output goes to `log`.

    As root it uses mode `root`, else mode `unshare`. A foreign architecture's programs are emulated, with a longer
    timeout. Raises `HostError` for a missing program, disk space or permission, `AssetError` for an unreachable mirror
    or a missing package. Leaves no files behind, even on failure.
    """
    if find_program("mmdebstrap") is None:
        raise HostError("mmdebstrap is not installed", hint="run `vmlab setup`")
    require_programs_of(architecture)
    progress(what)
    # World-writable, because mmdebstrap's unshared user must reach it.
    with ScratchDirectory(
        needed_mib=_NEEDED_MIB, what="building an image", mode=0o1777, remove=_remove_unshared
    ) as scratch:
        argv = [
            *_namespace(),
            "mmdebstrap",
            "--mode=auto",
            "--format=null",
            *_keyring(),
            *_for(architecture),
            *arguments,
        ]
        ended = run(
            argv,
            timeout_s=timeout_s if architecture is native_architecture() else timeout_s * _EMULATION_FACTOR,
            directory=directory,
            environment={"TMPDIR": str(scratch), "PYTHONNOUSERSITE": "1"},
            log=log,
            on_line=lambda line: _report(line, what, progress),
            # unshare(1) blocks SIGTERM while it waits, and its namespace ends when it is killed;
            # an unshared mmdebstrap cleans up on SIGTERM.
            death_signal="KILL" if os.geteuid() == 0 else "TERM",
        )
    if not ended.ok:
        raise _explain(ended.output, ended.tail, what)


def _namespace() -> list[str]:
    """Return the command that gives root private mount and pid namespaces, which end with mmdebstrap if it is killed.

    mmdebstrap's mode `root` mounts /proc and /sys in the host's namespace; mode `unshare` creates its namespaces.
    """
    if os.geteuid() != 0:
        return []
    return ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child=KILL"]


def _for(architecture: Architecture) -> list[str]:
    # mmdebstrap's check for an emulator needs the package arch-test; `require_programs_of` has tested the emulator.
    return [f"--architectures={architecture}", "--skip=check/qemu"]


def _keyring() -> list[str]:
    # On a host other than Debian, apt's trusted keys do not include those of Debian's archive.
    keyring = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
    return [f"--keyring={keyring}"] if keyring.is_file() else []


def _report(line: str, what: str, progress: Say) -> None:
    for mark, doing in (("Get:", "downloading"), ("Unpacking ", "unpacking"), ("Setting up ", "setting up")):
        if line.startswith(mark):
            progress(f"{what}: {doing} {' '.join(line.removeprefix(mark).split()[:5])[:60]}")


def _explain(output: str, tail: str, what: str) -> HostError | AssetError:
    if _NO_SPACE.search(output):
        return HostError(
            f"{what}: no space left on device",
            hint=f"free space in {PARENT} and the store (`vmlab images prune`)",
            detail=tail,
        )
    if _LACKING.search(output):
        line = next(line for line in output.splitlines() if _LACKING.search(line))
        return AssetError(
            f"{what}: the mirror lacks a package that its index lists: {line.removeprefix('E: ')}",
            hint="retry later with `vmlab images refresh`, or set another mirror with --vmlab-mirror URL",
            detail=tail,
        )
    unreachable = _UNREACHABLE.search(output)
    if unreachable:
        line = next(line for line in output.splitlines() if unreachable[0] in line).strip()
        return AssetError(
            f"{what}: the package mirror is unreachable: {line}",
            hint="check the network and its proxy, or set another mirror with --vmlab-mirror URL",
            detail=tail,
        )
    if _EXPIRED.search(output):
        line = next(line for line in output.splitlines() if _EXPIRED.search(line))
        return AssetError(
            f"{what}: the mirror's index has expired: {line.removeprefix('E: ')}",
            hint="set another mirror with --vmlab-mirror URL, or accept this one: --vmlab-stale-index accept",
            detail=tail,
        )
    if "Unable to locate package" in output or "has no installation candidate" in output:
        line = next(line for line in output.splitlines() if "Unable to locate" in line or "no installation" in line)
        return AssetError(f"{what}: {line.removeprefix('E: ')}", hint="run `vmlab images refresh`", detail=tail)
    if os.geteuid() != 0 and _NO_NAMESPACE.search(output):
        return HostError(
            f"{what}: this user cannot create user namespaces, which mmdebstrap needs without root",
            hint="install uidmap and give the user a range in /etc/subuid and /etc/subgid, or run as root",
            detail=tail,
        )
    return AssetError(f"{what}: mmdebstrap failed", hint="see the end of its output below", detail=tail)


def _remove_unshared(path: Path) -> None:
    """Remove a tree that may contain files of the subordinate users of an unshared mmdebstrap."""
    if os.geteuid() != 0 and any(path.iterdir()):
        run(["mmdebstrap", "--unshare-helper", "rm", "-rf", *map(str, path.iterdir())], timeout_s=120)
    remove_tree(path)


def fresh_log(store: Store, name: str) -> Path:
    """Return the path of a build's log, and remove the previous log of that name."""
    log = store.directory("logs") / f"{name}.log"
    log.unlink(missing_ok=True)
    return log
