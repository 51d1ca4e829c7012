# SPDX-License-Identifier: MIT
"""A built module is inspected before a kernel loads it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from unit.module.elf_file import elf_file
from vmlab.catalogue.target import Architecture
from vmlab.errors import BuildError
from vmlab.module.inspect import ModuleInfo, inspect_module, require_fit

_RELEASE = "6.1.0-56-cloud-amd64"
_MODINFO = (
    f"license=Dual MIT/GPL\0\0name=fibdrv\0vermagic={_RELEASE} SMP preempt mod_unload modversions \0"
    "parmtype=max_n:ulong\0parm=max_n:largest n\0parmtype=debug:bool\0"
)
_COMMENT = "\0GCC: (Debian 12.2.0-14) 12.2.0\0GCC: (Debian 12.2.0-14) 12.2.0\0"


@pytest.fixture
def ko(tmp_path: Path) -> Path:
    path = tmp_path / "fib-drv.ko"
    path.write_bytes(elf_file({".modinfo": _MODINFO.encode(), ".comment": _COMMENT.encode()}))
    return path


def test_a_module_tells_what_it_is(ko: Path) -> None:
    info = inspect_module(ko)
    assert info.name == "fibdrv"
    assert info.license == "Dual MIT/GPL"
    assert info.machine == "EM_X86_64"
    assert info.release == _RELEASE
    assert info.vermagic.endswith("modversions ")
    assert info.parameters == {"max_n": "ulong", "debug": "bool"}
    assert info.compilers == ("GCC: (Debian 12.2.0-14) 12.2.0",)


def test_a_module_without_a_name_has_its_files(ko: Path) -> None:
    ko.write_bytes(elf_file({".modinfo": b"license=GPL\0"}))
    info = inspect_module(ko)
    assert (info.name, info.vermagic, info.compilers) == ("fib_drv", "", ())


@pytest.mark.parametrize("raw", [b"", b"garbage", b"\x7fELF", b"\x7fELF\2\1\1" + bytes(9), b"\x7fELF" + b"\xff" * 200])
def test_garbage_is_no_module(ko: Path, raw: bytes) -> None:
    ko.write_bytes(raw)
    with pytest.raises(BuildError, match=r"fib-drv\.ko"):
        inspect_module(ko)


@pytest.mark.parametrize("kept", [64, 100, 300, -40, -1])
def test_a_module_that_was_cut_off_is_no_module(ko: Path, kept: int) -> None:
    ko.write_bytes(ko.read_bytes()[:kept])
    with pytest.raises(BuildError, match=r"fib-drv\.ko"):
        inspect_module(ko)


def test_an_object_that_is_no_module_is_told(ko: Path) -> None:
    ko.write_bytes(elf_file({".comment": _COMMENT.encode()}))
    with pytest.raises(BuildError, match=r"has no \.modinfo section"):
        inspect_module(ko)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BuildError):
        inspect_module(tmp_path / "none.ko")


def _require(info: ModuleInfo, *, release: str = _RELEASE, version: str = "12.2.0", is_waived: bool = False) -> None:
    require_fit(info, release=release, architecture=Architecture.AMD64, compiler_version=version, is_waived=is_waived)


def test_a_module_for_this_kernel_by_this_compiler_fits(ko: Path) -> None:
    _require(inspect_module(ko))


def test_a_module_for_another_processor_never_fits(ko: Path) -> None:
    data = bytearray(ko.read_bytes())
    data[18] = 183  # e_machine: EM_AARCH64
    ko.write_bytes(data)
    assert inspect_module(ko).machine == "EM_AARCH64"
    with pytest.raises(BuildError, match=r"has code for EM_AARCH64, but the guest is amd64"):
        _require(inspect_module(ko), is_waived=True)


def test_a_module_for_another_kernel_never_fits(ko: Path) -> None:
    with pytest.raises(BuildError, match=rf"built for '{_RELEASE}', but the guest runs '6\.1\.0-57-cloud-amd64'"):
        _require(inspect_module(ko), release="6.1.0-57-cloud-amd64", is_waived=True)


def test_a_module_by_another_compiler_fits_only_when_that_is_waived(ko: Path) -> None:
    info = inspect_module(ko)
    for version in ("14.2.0", "2.2.0", "12.2"):
        with pytest.raises(BuildError, match=r"GCC: \(Debian 12\.2\.0-14\) 12\.2\.0"):
            _require(info, version=version)
    _require(info, version="14.2.0", is_waived=True)


@pytest.mark.parametrize(("kind", "flags"), [(8, 0), (1, 0x800)])  # SHT_NOBITS, and SHF_COMPRESSED
def test_a_section_whose_size_is_only_a_number_is_not_read(ko: Path, kind: int, flags: int) -> None:
    data = bytearray(ko.read_bytes())
    (headers,) = struct.unpack_from("<Q", data, 0x28)
    # .modinfo is the first section after the empty one: its type, flags, and size of 256 TiB.
    struct.pack_into("<IQ", data, headers + 64 + 4, kind, flags)
    struct.pack_into("<Q", data, headers + 64 + 32, 2**48 if kind == 8 else 24)
    ko.write_bytes(data)

    with pytest.raises(BuildError, match=r"is not an ELF file: its .* \d+ bytes"):
        inspect_module(ko)


def test_a_damaged_file_is_one_line(ko: Path) -> None:
    data = bytearray(ko.read_bytes())
    struct.pack_into("<Q", data, 0x28, 2**40)
    ko.write_bytes(data)

    with pytest.raises(BuildError, match=r"'fib-drv\.ko' is not an ELF file"):
        inspect_module(ko)
