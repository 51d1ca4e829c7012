# SPDX-License-Identifier: MIT
"""Reads what a tree's files leave unclear by running bash and make, in the confinement of a build.

A dkms.conf is a shell script, and make runs commands while it only reads a Makefile. Their answers are text that is not
trusted: it is parsed as the files' own text is.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Mapping

from vmlab.errors import BuildError, hides_frames
from vmlab.image.image import BUILD_DIRECTORY
from vmlab.module.build_root import Outcome, Place
from vmlab.module.tree.commands import commands_of
from vmlab.module.tree.describe import Told, describe, dkms_file
from vmlab.module.tree.description import Description, Fact, Module
from vmlab.module.tree.dkms import Matches
from vmlab.module.tree.dkms_conf import DIRECTIVES, Directives, ShellNeeded, dkms_variables, read_dkms_conf
from vmlab.module.tree.files import TreeFiles
from vmlab.module.tree.kbuild import KernelFacts, read_kbuild
from vmlab.module.tree.wrapper import Call, WrapperReading, follow
from vmlab.reason.command import last_words

__tracebackhide__ = hides_frames

_TIMEOUT_S = 60
"""Time for one answer; those of v4l2loopback and Jool take 20 ms."""
_TOOLS = f"{BUILD_DIRECTORY}/.vmlab"
_MOST_VALUES, _MOST_CALLS, _MOST_DIRECTORIES = 1000, 50, 50
_MARK = "vmlab-answer"

_SOURCE = """
file=$1; shift
. "$file" >/dev/null 2>&1 </dev/null || :
printf 'vmlab-answer\\0'
for name; do
  declare -n all=$name
  for index in "${!all[@]}"; do printf '%s\\0%s\\0%s\\0' "$name" "$index" "${all[$index]}"; done
  unset -n all
done
printf 'vmlab-answer\\0'
"""
# GNU make runs a recipe's line with $(MAKE) in it even under -n (its manual, "Instead of Executing Recipes").
_RECORDER = f"""#!/bin/sh
for word; do
  case $word in
    M=*|SUBDIRS=*) printf '\\nvmlab-call %s' "$PWD"; printf '\\t%s' "$@"; echo; exit 0;;
  esac
done
[ "${{MAKELEVEL:-0}}" -lt 10 ] || exit 0
exec make "$@" MAKE={_TOOLS}/make
"""
_PROBE = """
src := $(VMLAB_DIRECTORY)
obj := $(VMLAB_DIRECTORY)
M := $(VMLAB_DIRECTORY)
KBUILD_EXTMOD := $(VMLAB_DIRECTORY)
KBUILD_MODULES := 1
srctree := $(CURDIR)
objtree := $(CURDIR)
-include include/config/auto.conf
-include scripts/Kbuild.include
obj-y :=
obj-m :=
include $(VMLAB_FILE)
$(info vmlab-objects $(strip $(obj-y) $(obj-m) $(addsuffix /,$(subdir-m) $(subdir-y))))
$(info vmlab-modules $(strip $(obj-m)))
.PHONY: vmlab-nothing
vmlab-nothing: ;@:
"""


def describe_confined(tree: TreeFiles, kernel: KernelFacts, place: Place, *, name: str) -> Description:
    """Describe a tree for a kernel; what its files leave unclear is asked of bash and make in a place that has the tree
    as `name/`.

    Raises `UsageError` as `describe`, `BuildError` for a dkms.conf that bash cannot read. Costs nothing if all is
    clear, else 20 to 100 ms a question.
    """
    source = tree.source
    matches = matcher_in(place)
    told = Told(matches=matches)
    first = describe(tree, source.stated, within=source.within, kernel=kernel, told=told, is_strict=False)
    if not first.unclear:
        return first
    told = Told(dkms=_ask_dkms(tree, kernel, place, name), matches=matches)
    second = describe(tree, source.stated, within=source.within, kernel=kernel, told=told, is_strict=False)
    calls = None if source.stated.source or not second.unclear else _ask_make(tree, place, kernel, name)
    told = Told(dkms=told.dkms, calls=calls or None, matches=matches)
    third = describe(tree, source.stated, within=source.within, kernel=kernel, told=told, is_strict=False)
    make = {key: fact.value for key, fact in third.make.items()}
    modules = {
        fact.value: found
        for fact in third.sources[:_MOST_DIRECTORIES]
        if read_kbuild(tree, fact.value, make=make, kernel=kernel).uncertain
        and (found := _ask_kbuild(tree, place, kernel, fact.value, make)) is not None
    }
    told = Told(dkms=told.dkms, calls=told.calls, modules=modules, matches=matches)
    return describe(tree, source.stated, within=source.within, kernel=kernel, told=told, is_strict=False)


def matcher_in(place: Place) -> Matches:
    """Return a function that matches extended regular expressions with grep, in a place: one may take very long."""

    def matches(pattern: str, text: str) -> bool:
        command = f"printf %s {shlex.quote(text)} | grep -Eq -e {shlex.quote(pattern)}"
        return place.run(command, timeout_s=_TIMEOUT_S).status == 0

    return matches


def _ask_dkms(tree: TreeFiles, kernel: KernelFacts, place: Place, name: str) -> Directives | None:
    path = dkms_file(tree, tree.source.within)
    if not path:
        return None
    variables = dkms_variables(kernel.release, kernel.machine)
    try:
        return read_dkms_conf(tree.text(f"{tree.root}/{path}") or "", path, variables)
    except ShellNeeded:
        pass
    where = f"cd {shlex.quote(posixpath.join(name, posixpath.dirname(path)))} && "
    file = f"./{posixpath.basename(path)}"
    checked = place.run(f"{where}bash -n {file}", timeout_s=_TIMEOUT_S)
    if checked.status != 0:
        raise _not_read(path, checked)
    words = [f"{key}={value}" for key, value in variables.items()]
    command = shlex.join(["env", *words, "bash", "-c", _SOURCE, "dkms", file, *DIRECTIVES])
    return _directives(path, place.run(f"{where}{command}", timeout_s=_TIMEOUT_S))


def _directives(path: str, outcome: Outcome) -> Directives:
    parts = outcome.output.split("\0")
    marks = [number for number, part in enumerate(parts) if part.endswith(_MARK)]
    if len(marks) < 2:
        raise BuildError(
            f"{path} ended its shell with status {outcome.status} before its last line", hint="remove `exit` from it"
        )
    values = parts[marks[0] + 1 : marks[-1]]
    found: dict[str, dict[int, Fact[str]]] = {}
    for directive, index, value in zip(values[::3], values[1::3], values[2::3], strict=False):
        if directive in DIRECTIVES and re.fullmatch(r"\d{1,4}", index) and len(found) < _MOST_VALUES:
            found.setdefault(directive, {})[int(index)] = Fact(value[: 1 << 16], f"{path} (read by bash)")
    return found


def _not_read(path: str, outcome: Outcome) -> BuildError:
    said = next((line for line in outcome.output.splitlines() if ": line " in line), last_words(outcome.output, ""))
    found = re.search(r": line (\d+): (.*)", said)
    words = f"{path}:{found[1]}: {found[2]}" if found else f"{path}: {said}"
    return BuildError(f"bash cannot read {words}", hint="correct this line")


def _ask_make(tree: TreeFiles, place: Place, kernel: KernelFacts, name: str) -> tuple[Call, ...]:
    """Return the calls of Kbuild that the tree's default target would make."""
    _write(place, "make", _RECORDER)
    directory = posixpath.normpath(posixpath.join(name, tree.source.within))
    build = f"/lib/modules/{kernel.release}/build"
    names = ("KDIR", "KERNELDIR", "KERNEL_DIR", "KSRC", "KERNEL_SRC", "KERNEL_SOURCE_DIR", "KERNEL_PATH")
    variables = [f"{key}={build}" for key in names] + [f"{key}={kernel.release}" for key in ("KVERSION", "KVER")]
    words = ["make", "-n", "-k", "-w", "-C", directory, f"MAKE={_TOOLS}/make", *variables]
    outcome = place.run(f"chmod +x .vmlab/make && {shlex.join(words)} 2>/dev/null", timeout_s=_TIMEOUT_S)
    reading, folders = WrapperReading(), [f"{BUILD_DIRECTORY}/{directory}"]
    for line in outcome.output.splitlines():
        entered = re.match(r"make(?:\[\d+\])?: (Entering|Leaving) directory '([^']*)'", line)
        if entered is not None:
            folders = [*folders, entered[2]] if entered[1] == "Entering" else folders[:-1] or folders
            continue
        told = line.startswith("vmlab-call ")
        folder, _, rest = line.removeprefix("vmlab-call ").partition("\t") if told else (folders[-1], "", line)
        words_ = f"make {shlex.join(rest.split(chr(9)))}" if told else rest
        for command in commands_of(words_, folder) or ():
            if command.is_make and any(word.startswith(("M=", "SUBDIRS=")) for word in command.words):
                follow(tree, command, "make -n", reading)
    return tuple(reading.calls[:_MOST_CALLS])


def _ask_kbuild(
    tree: TreeFiles, place: Place, kernel: KernelFacts, directory: str, make: Mapping[str, str]
) -> tuple[Module, ...] | None:
    """Return the modules of a directory and those below it; None if make cannot read its file."""
    _write(place, "probe.mk", _PROBE)
    found: list[Module] = []
    waiting, seen = [directory], set[str]()
    while waiting and len(seen) < _MOST_DIRECTORIES:
        current = waiting.pop(0)
        path = tree.kbuild_file(current)
        if current in seen or not path:
            continue
        seen.add(current)
        words = [
            "make",
            "-s",
            "-C",
            f"/lib/modules/{kernel.release}/build",
            "-f",
            f"{_TOOLS}/probe.mk",
            "vmlab-nothing",
        ]
        words += [f"VMLAB_DIRECTORY={posixpath.dirname(path)}", f"VMLAB_FILE={path}", f"KERNELRELEASE={kernel.release}"]
        outcome = place.run(
            f"{shlex.join([*words, *(f'{key}={text}' for key, text in make.items())])} 2>&1", timeout_s=_TIMEOUT_S
        )
        objects, modules = _row(outcome.output, "vmlab-objects"), _row(outcome.output, "vmlab-modules")
        if modules is None or objects is None:
            return None
        waiting += [below for word in objects if word.endswith("/") and (below := _inside(current, word))]
        found += [
            Module(
                name=posixpath.basename(inner),
                location=posixpath.dirname(inner) or ".",
                origin=f"{tree.place(path)} (read by make)",
            )
            for word in modules
            if word.endswith(".o") and (inner := _inside(current, word.removesuffix(".o")))
        ]
    return tuple(found)


def _row(output: str, mark: str) -> list[str] | None:
    rows = [line.split()[1:] for line in output.splitlines() if line.split(" ")[0] == mark]
    return rows[-1] if rows else None


def _inside(directory: str, word: str) -> str:
    joined = posixpath.normpath(posixpath.join(directory, word))
    return "" if joined.startswith(("..", "/")) or not joined.isprintable() else joined


def _write(place: Place, name: str, text: str) -> None:
    place.run(f"mkdir -p .vmlab && printf %s {shlex.quote(text)} >.vmlab/{name}", timeout_s=_TIMEOUT_S)
