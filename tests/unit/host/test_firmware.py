# SPDX-License-Identifier: MIT
"""A host's UEFI firmware, and the error when it has none."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmlab.catalogue.target import Architecture
from vmlab.errors import HostError
from vmlab.host import firmware
from vmlab.host.firmware import PACKAGES, PLACES, UefiFiles, find_uefi, has_uefi
from vmlab.host.install import missing_requirements


def _files(directory: Path) -> UefiFiles:
    return UefiFiles(code=directory / "CODE.fd", variables=directory / "VARS.fd")


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[UefiFiles, UefiFiles]:
    pair = (_files(tmp_path / "first"), _files(tmp_path / "second"))
    for files in pair:
        files.code.parent.mkdir()
    monkeypatch.setattr(firmware, "PLACES", dict.fromkeys(Architecture, pair))
    return pair


def test_the_first_that_is_whole_is_taken(places: tuple[UefiFiles, UefiFiles]) -> None:
    first, second = places
    first.code.touch()  # the variables file is missing
    second.code.touch()
    second.variables.touch()
    assert find_uefi(Architecture.AMD64) == second
    assert has_uefi(Architecture.AMD64)


def test_none_is_a_line_with_what_to_install(places: tuple[UefiFiles, UefiFiles]) -> None:
    assert not has_uefi(Architecture.ARM64)
    with pytest.raises(HostError, match="UEFI firmware for arm64 guests is not installed") as caught:
        find_uefi(Architecture.ARM64)
    assert "qemu-efi-aarch64" in caught.value.hint


def test_only_targets_that_start_by_it_need_it(places: tuple[UefiFiles, UefiFiles]) -> None:
    def missing(*uefi: Architecture) -> set[str]:
        return {row.package for row in missing_requirements([Architecture.AMD64], uefi=uefi) if row.is_firmware}

    assert missing() == set()
    assert missing(Architecture.AMD64) == {"ovmf"}


def test_no_firmware_is_one_with_secure_boot() -> None:
    """It would refuse the modules under test."""
    for files in (row for rows in PLACES.values() for row in rows):
        assert not any(word in str(files.code).lower() for word in ("secboot", "secure", ".ms."))
    assert set(PACKAGES) == set(Architecture)
