# SPDX-License-Identifier: MIT
"""Comparison of the compiler that built a kernel with an installed compiler. Pure.

The kernel's Makefile compares the first line of `$CC --version` then and now (`prepare` in the top Makefile; not in
5.10). It warns that "the compiler differs from the one used to build the kernel" even if only the name differs.
Only the version matters: gcc's plugins, its stack protector and the options that Kconfig detected depend on it.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from enum import StrEnum

from vmlab.catalogue.target import TRIPLETS, Architecture
from vmlab.errors import BuildError, hides_frames

__tracebackhide__ = hides_frames

_TEXT = re.compile(r"^(?P<name>\S+)\s+(?:\((?P<packaging>[^()]*(?:\([^()]*\)[^()]*)*)\)\s+)?(?P<version>\d+(?:\.\d+)+)")
_LLVM_NAME = re.compile(r"(?P<prefix>.*-)?clang(?P<suffix>-\d+)?$")
_LLVM_TOOLS = {
    "LD": "ld.lld",
    "AR": "llvm-ar",
    "NM": "llvm-nm",
    "OBJCOPY": "llvm-objcopy",
    "OBJDUMP": "llvm-objdump",
    "READELF": "llvm-readelf",
    "STRIP": "llvm-strip",
    "HOSTCC": "clang",
}
"""Programs that LLVM=1 selects in the kernel's Makefile since v5.7."""
_KNOWS_SUFFIXES = (5, 18)
"""First kernel line with LLVM=-21 and LLVM=DIRECTORY/: v5.18, commit e9c281928c24."""
_CLANG = re.compile(r"^(?P<packaging>.*?)clang version (?P<version>\d+(?:\.\d+)+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiler:
    """A compiler, described by the first line of its `--version`."""

    name: str
    """Program name, such as `x86_64-linux-gnu-gcc-14`; `clang` if unknown, because clang does not print the name that
    it was called by."""
    packaging: str
    """Distribution's revision, such as `Debian 14.2.0-19`."""
    version: str
    text: str

    @property
    def family(self) -> str:
        return "clang" if "clang" in self.name else "gcc"

    @property
    def major(self) -> str:
        return self.version.split(".")[0]


class Match(StrEnum):
    """Comparison of an installed compiler with the kernel's."""

    SAME = "same"
    OTHER_NAME = "other name"
    OTHER_PACKAGING = "other packaging revision"
    OTHER_VERSION = "other version"


def parse_compiler(text: str, *, called: str = "") -> Compiler:
    """Parse a line of `--version`, or CONFIG_CC_VERSION_TEXT; raises `BuildError` if it names no compiler.

    `called` is the program name that was called, if known.
    """
    line = text.strip().splitlines()[0].strip('"') if text.strip() else ""
    clang = _CLANG.match(line)
    if clang is not None:
        name = called or "clang"
        return Compiler(name=name, packaging=clang["packaging"].strip(), version=clang["version"], text=line)
    match = _TEXT.match(line)
    if match is None:
        raise BuildError(f"cannot parse the compiler {line!r}", hint="expected the first line of `cc --version`")
    return Compiler(name=match["name"], packaging=match["packaging"] or "", version=match["version"], text=line)


def kernel_compiler(config: str, banner: str = "") -> Compiler:
    """Return the compiler that built a kernel, from CONFIG_CC_VERSION_TEXT in its .config, else from its banner.

    `banner` is /proc/version. Every kernel of the default matrix has CONFIG_CC_VERSION_TEXT.
    """
    match = re.search(r'^CONFIG_CC_VERSION_TEXT="(.+)"$', config, re.MULTILINE)
    if match is not None:
        return parse_compiler(match[1])
    in_banner = re.search(r"\(((?:[^()]*\s)?\S*(?:gcc|clang)\S*\s[^,]*),", banner)
    if in_banner is not None:
        return parse_compiler(in_banner[1])
    raise BuildError("the kernel's compiler is unknown", hint="its .config has no CONFIG_CC_VERSION_TEXT")


def candidates(kernel: Compiler, architecture: Architecture) -> tuple[str, ...]:
    """Program names to look for: the kernel's first, unversioned names last."""
    family, major = kernel.family, kernel.major
    triplet = TRIPLETS[architecture]
    names = (kernel.name, f"{family}-{major}", f"{triplet}-{family}-{major}", family)
    return tuple(dict.fromkeys((*names, f"{triplet}-clang") if family == "clang" else names))


def compare(kernel: Compiler, at_hand: Compiler) -> Match:
    """Compare two compilers; `Match` is ordered from harmless to harmful."""
    if kernel.family != at_hand.family or kernel.version != at_hand.version:
        return Match.OTHER_VERSION
    if kernel.packaging != at_hand.packaging:
        return Match.OTHER_PACKAGING
    # The text that Kbuild compares contains the name of gcc, but not of clang.
    return Match.SAME if kernel.name == at_hand.name or kernel.family == "clang" else Match.OTHER_NAME


def llvm_arguments(compiler: Compiler, release: str) -> str:
    """Arguments of make for a kernel that clang built: `LLVM=1`, `LLVM=-21`, or each program by name.

    With only CC, Kbuild would use the GNU linker and binutils.
    """
    name, suffix = compiler.name, _suffix(compiler)
    if name == "clang":
        return "LLVM=1"
    line = tuple(map(int, re.findall(r"\d+", release)[:2]))
    if name == f"clang{suffix}" and line >= _KNOWS_SUFFIXES:
        return f"LLVM={suffix}"
    tools = {variable: f"{tool}{suffix}" for variable, tool in _LLVM_TOOLS.items()} if suffix else {}
    return shlex.join(["LLVM=1", f"CC={name}", *(f"{variable}={tool}" for variable, tool in tools.items())])


def linker_of(compiler: Compiler) -> str:
    """Linker for a clang, such as `ld.lld-21`; empty for gcc, which finds its linker."""
    return f"{_LLVM_TOOLS['LD']}{_suffix(compiler)}" if compiler.family == "clang" else ""


def _suffix(compiler: Compiler) -> str:
    match = _LLVM_NAME.match(compiler.name)
    return (match["suffix"] or "") if match is not None else ""


def refuse_other_version(kernel: Compiler, at_hand: Compiler) -> None:
    """Raise `BuildError` with both versions when they differ."""
    if compare(kernel, at_hand) is Match.OTHER_VERSION:
        raise BuildError(
            f"the kernel was built with {kernel.family} {kernel.version} ({kernel.text!r}), but the installed compiler "
            f"is {at_hand.family} {at_hand.version} ({at_hand.text!r})",
            hint=f"install {kernel.family}-{kernel.major} in the image, or use --vmlab-compiler waive",
        )
