# SPDX-License-Identifier: MIT
"""Metadata of a built .ko, read before the kernel loads it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vmlab.catalogue.target import Architecture
from vmlab.errors import BuildError, hides_frames

__tracebackhide__ = hides_frames

_MACHINES = {Architecture.AMD64: "EM_X86_64", Architecture.ARM64: "EM_AARCH64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleInfo:
    """Metadata of a .ko, from `.modinfo`, `.comment` and the ELF header."""

    name: str
    vermagic: str
    license: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Types by parameter name, such as `max_n: ulong`."""
    machine: str
    """Architecture of its code, as named in elf.h: `EM_AARCH64`."""
    compilers: tuple[str, ...]
    """Compilers of all linked objects, as in `.comment`: `GCC: (Debian 12.2.0-14) 12.2.0`."""

    @property
    def release(self) -> str:
        """Kernel release that it was built for: vermagic's first word."""
        return self.vermagic.split(" ")[0]


def inspect_module(path: Path) -> ModuleInfo:
    """Read a .ko; raises `BuildError` when it is not a kernel module."""
    from elftools.elf.elffile import ELFFile

    try:
        with path.open("rb") as stream:
            elf = ELFFile(io.BytesIO(stream.read()))
            sections = {name: _section(elf, name) for name in (".modinfo", ".comment")}
    except Exception as error:  # noqa: BLE001 - pyelftools may raise any exception if the file is damaged
        raise BuildError(f"{path.name!r} is not an ELF file: {error}") from None
    if not sections[".modinfo"]:
        raise BuildError(f"{path.name!r} is not a kernel module: it has no .modinfo section")
    pairs = [text.partition("=")[::2] for text in _strings(sections[".modinfo"])]
    first: dict[str, str] = {}
    for key, value in pairs:
        first.setdefault(key, value)
    return ModuleInfo(
        name=first.get("name", path.stem.replace("-", "_")),
        vermagic=first.get("vermagic", ""),
        license=first.get("license", ""),
        parameters=dict(value.partition(":")[::2] for key, value in pairs if key == "parmtype"),
        machine=str(elf["e_machine"]),
        compilers=tuple(sorted(set(_strings(sections[".comment"])))),
    )


def require_fit(
    info: ModuleInfo, *, release: str, architecture: Architecture, compiler_version: str, is_waived: bool
) -> None:
    """Raise `BuildError` when the module does not fit this kernel, before insmod runs.

    The kernel compares the whole vermagic string; in practice only the release differs.
    """
    if info.release != release:
        raise BuildError(
            f"{info.name}.ko was built for {info.release!r}, but the guest runs {release!r}",
            hint="build it against this kernel's headers",
        )
    if info.machine != _MACHINES[architecture]:
        raise BuildError(
            f"{info.name}.ko has code for {info.machine}, but the guest is {architecture}",
            hint="remove ARCH and CROSS_COMPILE from its Makefile: Kbuild chooses them",
        )
    others = [text for text in info.compilers if compiler_version not in text.split()]
    if others and not is_waived:
        raise BuildError(
            f"{info.name}.ko was compiled by {others[0]!r}, expected the kernel's compiler, version {compiler_version}",
            hint="remove CC from its Makefile, so that Kbuild chooses it, or use --vmlab-compiler waive",
        )


def _section(elf: object, name: str) -> bytes:
    section = elf.get_section_by_name(name)  # type: ignore[attr-defined]
    # The size of these is a number in the file, and not limited by the file's size.
    if section is None or section["sh_type"] == "SHT_NOBITS" or section.compressed:
        return b""
    return bytes(section.data())


def _strings(data: bytes) -> list[str]:
    return [part.decode("utf-8", errors="replace") for part in data.split(b"\0") if part]
