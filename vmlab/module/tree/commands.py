# SPDX-License-Identifier: MIT
"""Commands of a recipe, or of a dkms MAKE directive, told apart without a shell. Pure."""

from __future__ import annotations

import itertools
import posixpath
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from vmlab.module.tree.expansion import UNKNOWN

_HERE = re.compile(r"\$\(\s*pwd\s*\)|`\s*pwd\s*`|\$\{PWD\}|\$PWD\b|\$\{CURDIR\}|\$\(CURDIR\)")
_DYNAMIC = re.compile(r"\$\([^)]*\)|`[^`]*`|\$\{[^}]*\}|\$\w+")
_WORD = re.compile(r"(?P<name>[A-Za-z_]\w*)(?P<how>\+?:?)=(?P<text>.*)", re.DOTALL)
_ENDS = frozenset({"&&", ";", "||", "|", "&", ";;"})
_PREFIXES = frozenset({"exec", "env", "time", "do", "then", "else", "!"})
_LONGEST = 1 << 14
_RESERVED = """
M SUBDIRS CC LD AR NM OBJCOPY STRIP ARCH CROSS_COMPILE LLVM O V W KBUILD_VERBOSE KBUILD_OUTPUT KBUILD_SRC KERNELRELEASE
KERNELVERSION MAKEFLAGS MAKE SHELL PATH PWD CURDIR KDIR KERNELDIR KERNEL_DIR KSRC KVERSION KVER KERNEL_SOURCE_DIR
INSTALL_MOD_PATH INSTALL_MOD_DIR INSTALL_MOD_STRIP MO DEPMOD KBUILD_EXTRA_SYMBOLS KBUILD_EXTMOD
"""
RESERVED = frozenset(_RESERVED.split())
"""Variables of make's command line that vmlab sets itself, or that only concern installation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A simple command."""

    words: tuple[str, ...]
    directory: str
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_make(self) -> bool:
        return bool(self.words) and posixpath.basename(self.words[0]) in ("make", "gmake")


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeCommand:
    """The arguments of a make command."""

    directory: str
    """Its working directory: that of `-C`."""
    module: str | None
    """Value of `M=`, or of `SUBDIRS=` as before 5.3 (kernel commit 7e35b42591c0); None without it."""
    variables: Mapping[str, str]
    goals: tuple[str, ...]
    file: str = ""


def commands_of(line: str, here: str) -> list[Command] | None:
    """Return the simple commands of a line; None if it is not a plain list of them, or is too long to tell."""
    if len(line) > _LONGEST:
        return None
    text = _DYNAMIC.sub(UNKNOWN, _HERE.sub(lambda _: here, line.lstrip("@-+ \t")))
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";&|()<>")
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        words = list(itertools.takewhile(lambda word: not word.startswith("#"), lexer))
    except ValueError:
        return None
    found: list[Command] = []
    directory, current = here, list[str]()
    for word in [*words, ";"]:
        if word not in _ENDS:
            if word and set(word) <= set("()<>&|;"):
                return None
            current.append(word)
            continue
        if current:
            command = _command(current, directory)
            if command.words[:1] == ("cd",) and len(command.words) == 2:
                directory = posixpath.normpath(posixpath.join(directory, command.words[1]))
            elif command.words:
                found.append(command)
        current = []
    return found


def _command(words: list[str], directory: str) -> Command:
    environment: dict[str, str] = {}
    rest = list(words)
    while rest and (match := _WORD.fullmatch(rest[0])) is not None:
        environment[match["name"]] = match["text"]
        rest.pop(0)
    if rest and rest[0] in _PREFIXES:
        return _command(rest[1:], directory)
    return Command(words=tuple(rest), directory=directory, environment=environment)


def make_command_of(command: Command) -> MakeCommand:
    """Return the arguments of a make command, with its environment's variables among its own."""
    directory, file = command.directory, ""
    variables, goals = dict(command.environment), list[str]()
    words = list(command.words[1:])
    while words:
        word = words.pop(0)
        match = _WORD.fullmatch(word)
        if word in ("-C", "--directory", "-f", "--file", "-j", "-l", "-o", "-W", "-I"):
            takes = word not in ("-j", "-l") or (words and words[0].isdigit())
            # An empty variable leaves no word: `-C M=…`.
            is_there = bool(words) and takes and _WORD.fullmatch(words[0]) is None
            value = words.pop(0) if is_there else ""
            directory = (
                posixpath.normpath(posixpath.join(directory, value)) if word in ("-C", "--directory") else directory
            )
            file = value if word in ("-f", "--file") else file
        elif word.startswith(("-C", "--directory=")):
            value = word.removeprefix("--directory=").removeprefix("-C")
            directory = posixpath.normpath(posixpath.join(directory, value))
        elif match is not None:
            variables[match["name"]] = match["text"]
        elif not word.startswith("-"):
            goals.append(word)
    module = variables.pop("M", variables.pop("SUBDIRS", None))
    variables.pop("SUBDIRS", None)
    return MakeCommand(directory=directory, module=module, variables=variables, goals=tuple(goals), file=file)


def kept_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that are the module's own, not those that vmlab sets or that are empty or unknown."""
    return {
        name: text for name, text in variables.items() if name not in RESERVED and text.strip() and UNKNOWN not in text
    }
