# SPDX-License-Identifier: MIT
"""What a built .ko says of itself, read before a kernel sees it."""

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
    """The facts of a .ko: `.modinfo`, `.comment` and the ELF header."""

    name: str
    vermagic: str
    license: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Parameter name to type, such as `max_n: ulong`."""
    machine: str
    """The processor that its code is for, as elf.h calls it: `EM_AARCH64`."""
    compilers: tuple[str, ...]
    """Each compiler whose output was linked in, as `.comment` has it: `GCC: (Debian 12.2.0-14) 12.2.0`."""

    @property
    def release(self) -> str:
        """The kernel release it was built for: vermagic's first word."""
        return self.vermagic.split(" ")[0]


def inspect_module(path: Path) -> ModuleInfo:
    """Read a .ko; `BuildError` when it is no kernel module."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        with path.open("rb") as stream:
            elf = ELFFile(io.BytesIO(stream.read()))
            sections = {name: _section(elf, name) for name in (".modinfo", ".comment")}
    except (ELFError, OSError) as error:
        raise BuildError(f"{path.name} is no ELF file: {error}") from None
    if not sections[".modinfo"]:
        raise BuildError(f"{path.name} has no .modinfo section: it is no kernel module")
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
    """Raise `BuildError` when the module cannot belong to this kernel, before insmod is asked.

    The kernel compares the whole vermagic string; its release is what goes wrong in practice.
    """
    if info.release != release:
        raise BuildError(
            f"{info.name}.ko was built for {info.release!r} and the guest runs {release!r}",
            hint="build it against this kernel's headers",
        )
    if info.machine != _MACHINES[architecture]:
        raise BuildError(
            f"{info.name}.ko has code for {info.machine} and the guest is {architecture}",
            hint="its Makefile sets ARCH or CROSS_COMPILE itself; let Kbuild choose them",
        )
    others = [text for text in info.compilers if compiler_version not in text.split()]
    if others and not is_waived:
        raise BuildError(
            f"{info.name}.ko was compiled by {others[0]!r}, not by the kernel's compiler, version {compiler_version}",
            hint="its Makefile sets CC itself; let Kbuild choose it, or waive it with --vmlab-compiler waive",
        )


def _section(elf: object, name: str) -> bytes:
    section = elf.get_section_by_name(name)  # type: ignore[attr-defined]
    return bytes(section.data()) if section is not None else b""


def _strings(data: bytes) -> list[str]:
    return [part.decode("utf-8", errors="replace") for part in data.split(b"\0") if part]
