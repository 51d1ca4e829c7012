# SPDX-License-Identifier: MIT
"""Errors for a failed mmdebstrap: the cause in one line, from mmdebstrap's output."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vmlab.catalogue.target import Architecture
from vmlab.errors import AssetError, HostError, VmlabError
from vmlab.image import mmdebstrap as bootstrap
from vmlab.image.mmdebstrap import mmdebstrap
from vmlab.system.process import Finished

_UNREACHABLE = """\
I: running apt-get update...
Err:1 http://mirror.invalid/debian bookworm InRelease
  Could not resolve 'mirror.invalid'
W: Failed to fetch http://mirror.invalid/debian/dists/bookworm/InRelease  Could not resolve 'mirror.invalid'
E: Some index files failed to download. They have been ignored, or old ones used instead.
E: apt-get update --error-on=any failed
"""
_REFUSED = """\
Err:1 http://mirror.invalid/debian bookworm InRelease
  Could not connect to 192.0.2.1:9 (192.0.2.1). - connect (111: Connection refused)
"""
_NO_RELEASE = "E: The repository 'http://mirror.invalid/debian bookworm Release' does not have a Release file.\n"
_FULL = """\
Unpacking linux-headers-6.1.0-56-common (6.1.170-1) ...
dpkg: error processing archive /var/cache/apt/archives/x.deb (--unpack):
 cannot copy extracted data for './usr/src/x' to '/usr/src/x.dpkg-new': failed to write (No space left on device)
E: Failed to fetch file:/x
"""
_NOT_ENOUGH = "E: You don't have enough free space in /var/cache/apt/archives/.\n"
_NO_PACKAGE = "Reading package lists...\nE: Unable to locate package linux-image-9.9.9\nE: apt-get failed\n"
_NO_CANDIDATE = "E: Package 'gcc-99' has no installation candidate\n"
_NO_NAMESPACE = "E: unshare: Operation not permitted\n"


def _mmdebstrap(directory: Path, architecture: Architecture = Architecture.AMD64) -> None:
    mmdebstrap(
        [],
        architecture=architecture,
        directory=directory,
        log=directory / "log",
        what="debian12-6.1",
        progress=lambda _: None,
        timeout_s=5,
    )


@pytest.fixture(autouse=True)
def _an_amd64_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")


def _failure(output: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> VmlabError:
    def run(argv: list[str], **_: object) -> Finished:
        return Finished(argv=tuple(argv), status=25, output=output)

    monkeypatch.setattr(bootstrap, "run", run)
    monkeypatch.setattr(bootstrap, "find_program", lambda name: name)
    with pytest.raises(VmlabError) as caught:
        _mmdebstrap(tmp_path)
    assert caught.value.message.startswith("debian12-6.1: ")
    assert caught.value.detail.splitlines()[-1] == output.splitlines()[-1]
    return caught.value


@pytest.mark.parametrize(
    ("output", "kind", "words"),
    [
        (_UNREACHABLE, AssetError, "the package mirror is unreachable: Could not resolve 'mirror.invalid'"),
        (_REFUSED, AssetError, "the package mirror is unreachable: Could not connect to 192.0.2.1:9"),
        (_NO_RELEASE, AssetError, "the package mirror is unreachable: E: The repository"),
        (_FULL, HostError, "no space left on device"),
        (_NOT_ENOUGH, HostError, "no space left on device"),
        (_NO_PACKAGE, AssetError, "Unable to locate package linux-image-9.9.9"),
        (_NO_CANDIDATE, AssetError, "Package 'gcc-99' has no installation candidate"),
        ("E: something else\n", AssetError, "mmdebstrap failed"),
    ],
    ids=["unresolved", "refused", "no release", "full", "not enough", "no package", "no candidate", "else"],
)
def test_a_failure_is_told_by_its_cause(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, output: str, kind: type[VmlabError], words: str
) -> None:
    error = _failure(output, monkeypatch, tmp_path)
    assert type(error) is kind
    assert words in error.message
    assert error.hint


def test_a_user_without_namespaces_is_told_how_to_get_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    error = _failure(_NO_NAMESPACE, monkeypatch, tmp_path)
    assert isinstance(error, HostError)
    assert "cannot create user namespaces" in error.message
    assert "/etc/subuid" in error.hint


def test_a_host_without_mmdebstrap_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bootstrap, "find_program", lambda _: None)
    with pytest.raises(HostError, match="mmdebstrap is not installed") as caught:
        _mmdebstrap(tmp_path)
    assert caught.value.hint == "run `vmlab setup`"


class Emulation:
    """A host with or without an emulator, and the recorded mmdebstrap call."""

    def __init__(self, *, works: bool) -> None:
        self.works = works
        self.argv: list[str] = []
        self.timeout_s = 0.0

    def run(self, argv: list[str], *, timeout_s: float, **_: object) -> Finished:
        self.argv, self.timeout_s = argv, timeout_s
        return Finished(argv=tuple(argv), status=0, output="")

    def require(self, architecture: Architecture) -> None:
        if not self.works:
            raise HostError(f"{architecture} programs do not run on this x86_64 host")


@pytest.mark.parametrize(("architecture", "factor"), [(Architecture.AMD64, 1), (Architecture.ARM64, 4)])
def test_a_foreign_architectures_root_is_asked_for_and_has_more_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, architecture: Architecture, factor: int
) -> None:
    host = Emulation(works=True)
    monkeypatch.setattr(bootstrap, "run", host.run)
    monkeypatch.setattr(bootstrap, "find_program", lambda name: name)
    monkeypatch.setattr(bootstrap, "require_programs_of", host.require)
    _mmdebstrap(tmp_path, architecture)
    assert f"--architectures={architecture}" in host.argv
    assert host.timeout_s == 5 * factor


def test_a_host_without_an_emulator_is_told_before_anything_is_fetched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    host = Emulation(works=False)
    monkeypatch.setattr(bootstrap, "run", host.run)
    monkeypatch.setattr(bootstrap, "find_program", lambda name: name)
    monkeypatch.setattr(bootstrap, "require_programs_of", host.require)
    with pytest.raises(HostError, match="arm64 programs do not run on this x86_64 host"):
        _mmdebstrap(tmp_path, Architecture.ARM64)
    assert host.argv == []
