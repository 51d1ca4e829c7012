# SPDX-License-Identifier: MIT
"""Which compiler built a kernel, and whether the one at hand is the same. Pure.

The kernel's Makefile compares two *texts*, the first line of `$CC --version` then and now, and warns that "the
compiler differs from the one used to build the kernel" also when only the program's name does (`prepare` in the
top Makefile; 5.10's has no such check). What matters is the version: gcc's plugins, its stack protector and
the options that Kconfig found it to know depend on it.
"""

from __future__ import annotations

import re
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
"""The programs that LLVM=1 stands for in the kernel's Makefile since v5.7."""
_KNOWS_SUFFIXES = (5, 18)
"""LLVM=-21 and LLVM=DIRECTORY/ came with v5.18, commit e9c281928c24."""
_CLANG = re.compile(r"^(?P<packaging>.*?)clang version (?P<version>\d+(?:\.\d+)+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiler:
    """A compiler as the first line of its `--version` tells."""

    name: str
    """The name it was called by, such as `x86_64-linux-gnu-gcc-14`; `clang` where nobody knows, since clang does not
    print it."""
    packaging: str
    """The distribution's revision, such as `Debian 14.2.0-19`."""
    version: str
    text: str

    @property
    def family(self) -> str:
        return "clang" if "clang" in self.name else "gcc"

    @property
    def major(self) -> str:
        return self.version.split(".")[0]


class Match(StrEnum):
    """How the compiler at hand compares to the kernel's."""

    SAME = "same"
    OTHER_NAME = "other name"
    OTHER_PACKAGING = "other packaging revision"
    OTHER_VERSION = "other version"


def parse_compiler(text: str, *, called: str = "") -> Compiler:
    """The compiler that a line of `--version`, or CONFIG_CC_VERSION_TEXT, describes; `BuildError` if none.

    `called` is the name that it was called by, where that is known.
    """
    line = text.strip().splitlines()[0].strip('"') if text.strip() else ""
    clang = _CLANG.match(line)
    if clang is not None:
        name = called or "clang"
        return Compiler(name=name, packaging=clang["packaging"].strip(), version=clang["version"], text=line)
    match = _TEXT.match(line)
    if match is None:
        raise BuildError(f"no compiler can be read from {line!r}", hint="is it the first line of `cc --version`?")
    return Compiler(name=match["name"], packaging=match["packaging"] or "", version=match["version"], text=line)


def kernel_compiler(config: str, banner: str = "") -> Compiler:
    """The compiler that built a kernel: CONFIG_CC_VERSION_TEXT of its .config, else its banner's.

    `banner` is /proc/version. Every kernel of the default matrix has the config's text.
    """
    match = re.search(r'^CONFIG_CC_VERSION_TEXT="(.+)"$', config, re.MULTILINE)
    if match is not None:
        return parse_compiler(match[1])
    in_banner = re.search(r"\(((?:[^()]*\s)?\S*(?:gcc|clang)\S*\s[^,]*),", banner)
    if in_banner is not None:
        return parse_compiler(in_banner[1])
    raise BuildError("the kernel does not tell which compiler built it", hint="it has no CONFIG_CC_VERSION_TEXT")


def candidates(kernel: Compiler, architecture: Architecture) -> tuple[str, ...]:
    """Program names to look for, the kernel's own first; the last resort is the unversioned one."""
    family, major = kernel.family, kernel.major
    triplet = TRIPLETS[architecture]
    names = (kernel.name, f"{family}-{major}", f"{triplet}-{family}-{major}", family)
    return tuple(dict.fromkeys((*names, f"{triplet}-clang") if family == "clang" else names))


def compare(kernel: Compiler, at_hand: Compiler) -> Match:
    """How alike two compilers are, from harmless to not."""
    if kernel.family != at_hand.family or kernel.version != at_hand.version:
        return Match.OTHER_VERSION
    if kernel.packaging != at_hand.packaging:
        return Match.OTHER_PACKAGING
    # The text that Kbuild compares has a gcc's name in it, and no clang's.
    return Match.SAME if kernel.name == at_hand.name or kernel.family == "clang" else Match.OTHER_NAME


def llvm_arguments(compiler: Compiler, release: str) -> str:
    """The arguments of make for a kernel that clang built: `LLVM=1`, `LLVM=-21`, or each program by name.

    With CC alone, the linker and the rest would be GNU's.
    """
    name, suffix = compiler.name, _suffix(compiler)
    if name == "clang":
        return "LLVM=1"
    line = tuple(map(int, re.findall(r"\d+", release)[:2]))
    if name == f"clang{suffix}" and line >= _KNOWS_SUFFIXES:
        return f"LLVM={suffix}"
    tools = {variable: f"{tool}{suffix}" for variable, tool in _LLVM_TOOLS.items()} if suffix else {}
    return " ".join(["LLVM=1", f"CC={name}", *(f"{variable}={tool}" for variable, tool in tools.items())])


def linker_of(compiler: Compiler) -> str:
    """The linker that a clang is used with, `ld.lld-21`; empty for gcc, which finds its own."""
    return f"{_LLVM_TOOLS['LD']}{_suffix(compiler)}" if compiler.family == "clang" else ""


def _suffix(compiler: Compiler) -> str:
    match = _LLVM_NAME.match(compiler.name)
    return (match["suffix"] or "") if match is not None else ""


def refuse_other_version(kernel: Compiler, at_hand: Compiler) -> None:
    """Raise `BuildError` naming both versions when they differ."""
    if compare(kernel, at_hand) is Match.OTHER_VERSION:
        raise BuildError(
            f"the kernel was built with {kernel.family} {kernel.version} ({kernel.text!r}) and the compiler at hand "
            f"is {at_hand.family} {at_hand.version} ({at_hand.text!r})",
            hint=f"install {kernel.family}-{kernel.major} there, or waive it with --vmlab-compiler waive",
        )
