# SPDX-License-Identifier: MIT
"""The meaning of dkms.conf's directives for a build. Pure."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field

from vmlab.errors import UsageError
from vmlab.module.tree.commands import Command, commands_of
from vmlab.module.tree.description import Fact, Module, Patch, Restriction
from vmlab.module.tree.dkms_conf import DKMS_TREE, Directives
from vmlab.module.tree.files import TreeFiles
from vmlab.module.tree.kbuild import KernelFacts
from vmlab.module.tree.wrapper import Call, WrapperReading, follow

_BUILD = re.compile(rf"{DKMS_TREE}/[^/\s'\"]*/[^/\s'\"]*/build\b")
_PLACEHOLDER = re.compile(r"@\w+@|#\w+#")
_IGNORED = {
    "POST_ADD": "runs when the package is added",
    "POST_BUILD": "runs after dkms has built",
    "PRE_INSTALL": "runs before an installation",
    "POST_INSTALL": "runs after an installation",
    "POST_REMOVE": "runs after a removal",
}
_EXCLUSIVE = ("KERNEL", "KERNEL_MIN", "KERNEL_MAX", "ARCH", "CONFIG")

Matches = Callable[[str, str], bool]
"""Tells if a text matches an extended regular expression."""


@dataclass(slots=True, kw_only=True)
class DkmsFacts:
    """Facts about a build from a dkms.conf."""

    wrapper: WrapperReading = field(default_factory=WrapperReading)
    prepare: list[Fact[str]] = field(default_factory=list)
    modules: list[Module] = field(default_factory=list)
    patches: list[Patch] = field(default_factory=list)
    restrictions: list[Restriction] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def dkms_facts(tree: TreeFiles, base: str, found: Directives, *, release: str, matches: Matches | None) -> DkmsFacts:
    """Interpret the directives of a dkms.conf whose paths are relative to the directory `base` of the tree.

    Without `matches`, the kernel is unknown: directives with a MAKE_MATCH are noted, not used.
    """
    facts, root = DkmsFacts(), posixpath.normpath(f"{tree.root}/{base}")
    _read_make(tree, root, _make_of(found, facts, release=release, matches=matches), facts)
    _drop_placeholders(facts)
    script = _first(found, "PRE_BUILD")
    if script is not None and script.value:
        facts.prepare.insert(0, Fact(f"{_in(base)}./{script.value}", f"{script.origin} (PRE_BUILD)"))
    names, places = found.get("BUILT_MODULE_NAME", {}), found.get("BUILT_MODULE_LOCATION", {})
    package = _first(found, "PACKAGE_NAME")
    for index in sorted({*names, *places}) or ([0] if package else []):
        named = names.get(index) or (package if index == 0 else None)
        if named is not None and named.value:
            location = places[index].value if index in places else ""
            facts.modules.append(
                Module(name=named.value, location=_below(base, location, named.origin), origin=named.origin)
            )
    patterns = found.get("PATCH_MATCH", {})
    for index, patch in sorted(found.get("PATCH", {}).items()):
        pattern = patterns[index].value if index in patterns else ""
        if patch.value:
            name = _below(base, f"patches/{patch.value}", patch.origin)
            facts.patches.append(Patch(name=name, match=pattern, origin=patch.origin))
    _read_restrictions(found, facts)
    facts.notes += [
        f"{told.origin}: {name} {why}: not run" for name, why in _IGNORED.items() if (told := _first(found, name))
    ]
    facts.notes += [
        f"{told.origin}: BUILD_DEPENDS {told.value!r} is another package: name its directory in `needs`"
        for told in found.get("BUILD_DEPENDS", {}).values()
        if told.value
    ]
    return facts


def _read_restrictions(found: Directives, facts: DkmsFacts) -> None:
    for word in _EXCLUSIVE:
        told = _first(found, f"BUILD_EXCLUSIVE_{word}")
        if told is not None and told.value:
            facts.restrictions.append(Restriction(directive=word, value=told.value, origin=told.origin))
    obsolete = _first(found, "OBSOLETE_BY")
    if obsolete is not None and obsolete.value and "BUILD_EXCLUSIVE_KERNEL_MAX" not in found:
        facts.restrictions.append(Restriction(directive="KERNEL_MAX", value=obsolete.value, origin=obsolete.origin))


def _make_of(found: Directives, facts: DkmsFacts, *, release: str, matches: Matches | None) -> Fact[str] | None:
    """Return the command that dkms would run, as its `read_conf` chooses: the last one that matches, else the first."""
    commands, patterns = found.get("MAKE", {}), found.get("MAKE_MATCH", {})
    chosen = commands.get(0) if 0 not in patterns or matches is None else None
    for index, command in sorted(commands.items()):
        if index not in patterns or not patterns[index].value:
            continue
        if matches is None:
            facts.notes.append(f"{patterns[index].origin}: MAKE_MATCH[{index}] is decided by the kernel's release")
        elif matches(patterns[index].value, release):
            chosen = command
    return chosen


def _read_make(tree: TreeFiles, root: str, command: Fact[str] | None, facts: DkmsFacts) -> None:
    if command is None or not command.value.strip():
        return
    commands = commands_of(_BUILD.sub(lambda _: root, command.value), root)
    if commands is None:
        facts.wrapper.uncertain.append(
            f"{command.origin}: MAKE={command.value[:200]!r} is not a plain list of commands"
        )
        return
    is_before = True
    for each in commands:
        if each.is_make:
            is_before = False
            follow(tree, each, command.origin, facts.wrapper)
        elif is_before:
            facts.prepare.append(Fact(_as_text(each, tree), f"{command.origin} (MAKE)"))


def _drop_placeholders(facts: DkmsFacts) -> None:
    """Drop variables with a text that a packager replaces: `@VERSION@`, or `#MODULE_VERSION#` in Debian's packages."""
    for number, call in enumerate(facts.wrapper.calls):
        kept = {name: text for name, text in call.variables.items() if not _PLACEHOLDER.search(text)}
        facts.wrapper.dropped += [
            f"{call.origin}: {name}={call.variables[name]}" for name in call.variables if name not in kept
        ]
        facts.wrapper.calls[number] = Call(directory=call.directory, variables=kept, origin=call.origin)


def _as_text(command: Command, tree: TreeFiles) -> str:
    words = [f"{name}={shlex.quote(text)}" for name, text in command.environment.items()]
    return f"{_in(tree.inner(command.directory))}{' '.join([*words, shlex.join(command.words)])}"


def _in(directory: str) -> str:
    return "" if directory in ("", ".") else f"cd {shlex.quote(directory)} && "


def _below(base: str, place: str, origin: str) -> str:
    """Return a path relative to the tree; raises `UsageError` for one that leads out of it."""
    joined = posixpath.normpath(posixpath.join(base, place.lstrip("/") or "."))
    if ".." in place.split("/"):
        raise UsageError(f"{origin}: {place!r} leads out of the module's tree", hint="use a path below dkms.conf")
    return joined


def _first(found: Directives, name: str) -> Fact[str] | None:
    return found.get(name, {}).get(0)


def refusal(restriction: Restriction, kernel: KernelFacts, matches: Matches) -> str:
    """Return why a BUILD_EXCLUSIVE_… directive excludes a kernel; empty if it does not."""
    value, release = restriction.value, kernel.release
    match restriction.directive:
        case "KERNEL":
            return "" if matches(value, release) else f"the release must match {value!r}"
        case "KERNEL_MIN":
            return "" if _numbered(release) >= _numbered(value) else f"the release must be {value} or later"
        case "KERNEL_MAX":
            return "" if _numbered(release) <= _numbered(value) else f"the release must be {value} or earlier"
        case "ARCH":
            return "" if matches(value, kernel.machine) else f"the architecture must match {value!r}"
    for word in value.split():
        option, is_unwanted = word.lstrip("!"), word.startswith("!")
        if (kernel.config.get(option, "") in ("y", "m")) == is_unwanted:
            return f"{option} must {'not ' if is_unwanted else ''}be set in the kernel's configuration"
    return ""


def _numbered(release: str) -> list[tuple[int, str]]:
    """Return a release as a list that compares as dkms compares releases: numbers by value, words as text."""
    parts = re.findall(r"(\d+)|([^\d.]+)", release)
    return [(int(number[:18]) if number else -1, word) for number, word in parts]
