# SPDX-License-Identifier: MIT
"""Describes a module's tree from its files and its user's settings. Runs nothing."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from vmlab.errors import UsageError, some
from vmlab.module.tree.declared import declared_in
from vmlab.module.tree.description import Description, Fact, Module
from vmlab.module.tree.dkms import DkmsFacts, Matches, dkms_facts
from vmlab.module.tree.dkms_conf import Directives, ShellNeeded, dkms_variables, read_dkms_conf
from vmlab.module.tree.files import TreeFiles
from vmlab.module.tree.kbuild import KernelFacts, read_kbuild
from vmlab.module.tree.wrapper import Call, Generated, WrapperReading, read_wrapper
from vmlab.settings import ModuleSettings

_CONF = ("dkms.conf", "dkms.conf.in")
ABOVE_THE_TREE = "names a directory above the tree that is copied; state it: tree = '..' in vmlab.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Answers of bash and make about a tree in a build's confinement."""

    dkms: Directives | None = None
    calls: tuple[Call, ...] | None = None
    modules: Mapping[str, tuple[Module, ...]] = field(default_factory=dict)
    """Modules by the directory that Kbuild is called for."""
    matches: Matches | None = None


def describe(
    tree: TreeFiles,
    stated: ModuleSettings,
    *,
    within: str = ".",
    kernel: KernelFacts | None = None,
    told: Told | None = None,
    is_strict: bool = True,
) -> Description:
    """Describe a tree, for one kernel if it is given.

    `within` is the directory that the user named, relative to the tree. `told` replaces what the tree's files leave
    unclear. Raises `UsageError` if there is no module, if it is not clear which directory has it, or for a dkms.conf
    with a quote that is not closed. Unless it `is_strict`, a directory in which no module is found is left to Kbuild.
    """
    told = told or Told()
    unclear: list[str] = []
    dkms = _read_dkms(tree, within, kernel, told, unclear)
    wrapper = _read_wrappers(tree, within, dkms, told)
    calls = _calls(tree, within, stated, wrapper, dkms, is_strict=is_strict)
    # A call that is not clear does not matter where the directory itself is clear.
    unclear += [] if calls and (stated.source or wrapper.calls) else wrapper.uncertain
    make = _make(stated, calls)
    plain = {name: fact.value for name, fact in make.items()}
    modules: list[Module] = []
    outside: list[str] = []
    for call in calls:
        if call.directory in told.modules:
            modules += told.modules[call.directory]
            continue
        reading = read_kbuild(tree, call.directory, make=plain, kernel=kernel)
        modules += reading.modules
        unclear += reading.uncertain
        outside += reading.outside
    modules = _merged(modules, dkms.modules if dkms else [], is_sure=not unclear)
    sources = [file for module in modules for file in module.sources]
    declared, firmware = declared_in(tree, dict.fromkeys(sources or tree.source.files))
    return Description(
        tree=Fact(str(tree.source.directory), stated.origin("tree") if stated.tree else "directory"),
        sources=tuple(Fact(call.directory, call.origin) for call in calls),
        prepare=_prepare(stated, dkms, wrapper.generated),
        make=make,
        modules=_ordered(modules, stated),
        parameters={name: Fact(text, stated.origin("parameters")) for name, text in stated.parameters.items()},
        declared=declared,
        firmware=(*_facts(stated, "firmware"), *(each for each in firmware if each.value not in stated.firmware)),
        packages=_packages(stated, dkms),
        devices=_facts(stated, "devices"),
        files={name: Fact(path, stated.origin("files")) for name, path in stated.files.items()},
        needs=_facts(stated, "needs"),
        patches=tuple(dkms.patches) if dkms else (),
        restrictions=tuple(dkms.restrictions) if dkms else (),
        notes=(*_notes(dkms, wrapper, make), *(f"{line} {ABOVE_THE_TREE}" for line in outside)),
        unclear=tuple(dict.fromkeys(unclear)),
    )


def _read_dkms(
    tree: TreeFiles, within: str, kernel: KernelFacts | None, told: Told, unclear: list[str]
) -> DkmsFacts | None:
    path = dkms_file(tree, within)
    if not path:
        return None
    release, machine = (kernel.release, kernel.machine) if kernel else ("$kernelver", "$arch")
    base = _base(tree, path)
    if told.dkms is not None:
        return dkms_facts(tree, base, told.dkms, release=release, matches=told.matches)
    try:
        found = read_dkms_conf(tree.text(f"{tree.root}/{path}") or "", path, dkms_variables(release, machine))
    except ShellNeeded as needed:
        unclear.append(str(needed))
        return None
    return dkms_facts(tree, base, found, release=release, matches=told.matches)


def dkms_file(tree: TreeFiles, within: str) -> str:
    """Return the dkms.conf, relative to the tree, that describes a directory of it; empty if there is none.

    It lies in that directory, or above it. Elsewhere it counts if it is the only one.
    """
    folder = within
    while True:
        found = tree.first(folder, *_CONF)
        if found:
            return tree.inner(found)
        if folder in ("", "."):
            break
        folder = posixpath.dirname(folder) or "."
    others = [name for name in tree.source.files if posixpath.basename(name) in _CONF]
    return others[0] if len(others) == 1 and within == "." else ""


def _base(tree: TreeFiles, path: str) -> str:
    """Return the directory that a dkms.conf's paths are relative to: its own, or the tree for one that lies in a
    directory without sources, from where a package installs it into the tree."""
    own = posixpath.dirname(path) or "."
    has_sources = any(name.startswith(f"{own}/") and name.endswith((".c", ".S", ".rs")) for name in tree.source.files)
    return own if own == "." or has_sources or tree.kbuild_file(own) else "."


def _read_wrappers(tree: TreeFiles, within: str, dkms: DkmsFacts | None, told: Told) -> WrapperReading:
    if told.calls is not None:
        return WrapperReading(calls=list(told.calls))
    if dkms is not None and any(_covers(call.directory, within) for call in dkms.wrapper.calls):
        return dkms.wrapper
    return read_wrapper(tree, within)


def _covers(directory: str, within: str) -> bool:
    return within in (".", directory) or directory.startswith(f"{within}/") or within.startswith(f"{directory}/")


def _calls(
    tree: TreeFiles,
    within: str,
    stated: ModuleSettings,
    wrapper: WrapperReading,
    dkms: DkmsFacts | None,
    *,
    is_strict: bool,
) -> list[Call]:
    if stated.source:
        known = {call.directory: call for call in wrapper.calls}
        return [
            replace(known[each], origin=stated.origin("source"))
            if each in known
            else Call(directory=each, variables={}, origin=stated.origin("source"))
            for each in stated.source
        ]
    if wrapper.calls:
        return wrapper.calls
    if _has_objects(tree, within):
        return [Call(directory=within, variables={}, origin=tree.place(tree.kbuild_file(within)))]
    if dkms is not None and dkms.modules:
        places = dict.fromkeys(module.location for module in dkms.modules)
        named = [Call(directory=each, variables={}, origin="dkms.conf") for each in places if tree.kbuild_file(each)]
        if named:
            return named
    is_open = not is_strict or bool(wrapper.uncertain) or (dkms is None and bool(dkms_file(tree, within)))
    return _search(tree, within, is_open=is_open)


def _has_objects(tree: TreeFiles, directory: str) -> bool:
    reading = read_kbuild(tree, directory, make={})
    return bool(reading.modules or reading.uncertain)


def _search(tree: TreeFiles, within: str, *, is_open: bool) -> list[Call]:
    """Find the one directory below that has a module; raises `UsageError` if there are none or several.

    If it `is_open` what the tree's own build calls, the answer is left to a build's confinement.
    """
    prefix = "" if within == "." else f"{within}/"
    folders = dict.fromkeys(
        posixpath.dirname(name) or "."
        for name in sorted(tree.source.files, key=lambda name: (name.count("/"), name))
        if name.startswith(prefix) and posixpath.basename(name) in ("Kbuild", "Makefile")
    )
    found: list[str] = []
    for folder in folders:
        if not any(_is_below(folder, known) for known in found) and read_kbuild(tree, folder, make={}).modules:
            found.append(folder)
    if len(found) == 1:
        return [Call(directory=found[0], variables={}, origin=tree.place(tree.kbuild_file(found[0])))]
    name = str(tree.source.directory) if within == "." else f"{tree.source.directory}/{within}"
    if is_open:
        return [Call(directory=within, variables={}, origin="directory")]
    if found:
        raise UsageError(
            f"{name!r} has modules in {len(found)} directories: {some(found)}",
            hint=f"name one, such as --vmlab-module {name}/{found[0]}, or several: source = [...] in vmlab.toml",
        )
    what = "no Kbuild file and no Makefile of it has `obj-m`" if folders else "neither a Kbuild file nor a Makefile"
    raise UsageError(
        f"{name!r} has no module: {what}{_makers(tree)}", hint="create a Kbuild file with `obj-m := NAME.o`"
    )


def _makers(tree: TreeFiles) -> str:
    """Return the other build systems' files of the tree, for a message."""
    names = ("CMakeLists.txt", "meson.build", "configure", "configure.ac", "Cargo.toml")
    found = [name for name in names if name in tree.source.sums]
    return f" ({found[0]} is not used)" if found else ""


def _is_below(folder: str, known: str) -> bool:
    return known == "." or folder == known or folder.startswith(f"{known}/")


def _make(stated: ModuleSettings, calls: Iterable[Call]) -> dict[str, Fact[str]]:
    found = {name: Fact(text, call.origin) for call in calls for name, text in call.variables.items()}
    return found | {name: Fact(text, stated.origin("make")) for name, text in stated.make.items()}


def _prepare(stated: ModuleSettings, dkms: DkmsFacts | None, generated: Iterable[Generated]) -> tuple[Fact[str], ...]:
    if stated.prepare is not None:
        return tuple(Fact(command, stated.origin("prepare")) for command in stated.prepare)
    steps = list(dkms.prepare) if dkms else []
    for each in generated:
        place = "" if each.directory == "." else f"-C {each.directory} "
        steps.append(Fact(f"make {place}{' '.join(each.names)}", each.origin))
    return tuple(steps)


def _packages(stated: ModuleSettings, dkms: DkmsFacts | None) -> tuple[Fact[str], ...]:
    found = list(_facts(stated, "packages"))
    if dkms is not None and dkms.patches and "patch" not in stated.packages:
        found.append(Fact("patch", f"{dkms.patches[0].origin} (PATCH)"))
    return tuple(found)


def _facts(stated: ModuleSettings, key: str) -> tuple[Fact[str], ...]:
    return tuple(Fact(word, stated.origin(key)) for word in getattr(stated, key))


def _merged(modules: list[Module], named: list[Module], *, is_sure: bool) -> list[Module]:
    """Return the modules of the Kbuild files; those that only dkms.conf names are added if the files left doubt."""
    found = {(module.location, module.name): module for module in modules}
    if not is_sure or not found:
        for module in named:
            found.setdefault((module.location, module.name), module)
    return list(found.values())


def _ordered(modules: list[Module], stated: ModuleSettings) -> tuple[Module, ...]:
    """Return the modules, with those that the user lists first and in that order."""
    order = [name.replace("-", "_") for name in stated.modules]
    for name in stated.modules:
        if name.replace("-", "_") not in {module.loaded_name for module in modules}:
            modules.append(Module(name=name, location=".", origin=stated.origin("modules")))
    ranks = {name: rank for rank, name in enumerate(order)}
    return tuple(sorted(modules, key=lambda module: ranks.get(module.loaded_name, len(ranks))))


def _notes(dkms: DkmsFacts | None, wrapper: WrapperReading, make: Mapping[str, Fact[str]]) -> tuple[str, ...]:
    notes = list(dkms.notes) if dkms else []
    for dropped in wrapper.dropped:
        name = dropped.rpartition("=")[0].rpartition(" ")[2]
        if name not in make:
            notes.append(f"{dropped}: only the tree's own build gives this value; state it: make = {{ {name} = '…' }}")
    return tuple(notes)
