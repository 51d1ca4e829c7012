# SPDX-License-Identifier: MIT
"""Reads a tree of Python files and finds imports and calls that break the layering rules."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

# Lowest first. The longest matching prefix gives a module's layer; a module may import its own and lower layers.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("vmlab.text", "vmlab.errors", "vmlab.decode", "vmlab.provenance", "vmlab.settings"),
    ("vmlab.system",),
    ("vmlab.store", "vmlab.catalogue"),
    ("vmlab.api", "vmlab.reason"),
    ("vmlab.context",),
    ("vmlab.host",),
    ("vmlab.image",),
    ("vmlab.klog",),
    ("vmlab.machine",),
    ("vmlab.guest",),
    ("vmlab.module",),
    ("vmlab.timing", "vmlab.perf"),
    ("vmlab.cloud",),
    ("vmlab.lab",),
    ("vmlab.report", "vmlab.doctor"),
    ("vmlab.plugin", "vmlab.commands", "vmlab.testing", "vmlab.__main__"),
)
GUARDED = {
    "fabric": ("vmlab.guest.ssh",),
    "paramiko": ("vmlab.guest.ssh", "vmlab.guest.ssh_limits"),
    "invoke": ("vmlab.guest.ssh",),
    "pytest": ("vmlab.plugin",),
    "_pytest": ("vmlab.plugin",),
    "requests": ("vmlab.cloud",),
    "urllib3": ("vmlab.cloud",),
    "rich": ("vmlab.report.console",),
}
"""The only modules that may import a library."""
LONGEST_LINES = 400
_LIGHT = ("typing.", "importlib.")


def breaches(root: Path) -> list[str]:
    """Every broken rule in the package below `root`, as `file:line: what`."""
    return [breach for path in sorted(root.rglob("*.py")) for breach in _breaches_of(path, root)]


def circles(root: Path) -> list[str]:
    """The modules of an import cycle, or an empty list: none of them can be understood alone."""
    modules = {_module_name(path, root): path for path in root.rglob("*.py")}
    graph = {name: set(_imported_modules(path, name, modules)) - {name, root.name} for name, path in modules.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def _imported_modules(path: Path, name: str, modules: Mapping[str, Path]) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for _, imported in _imports(tree, name, is_package=path.name == "__init__.py"):
        parts = imported.split(".")
        yield from [".".join(parts[:n]) for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in modules][:1]


def _breaches_of(path: Path, root: Path) -> Iterator[str]:
    name = _module_name(path, root)
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    if not lines or lines[0] != "# SPDX-License-Identifier: MIT":
        yield f"{name}:1: no SPDX line"
    if len(lines) > LONGEST_LINES:
        yield f"{name}:{len(lines)}: more than {LONGEST_LINES} lines"
    # Reports import the bare package for its version; it imports nothing until one of its names is used.
    own = 0 if name == "vmlab" else _layer(name)
    if own is None:
        yield f"{name}:1: belongs to no layer"
        return
    tree = ast.parse(text)
    for line, imported in _imports(tree, name, is_package=path.name == "__init__.py"):
        theirs = _layer(imported)
        if theirs is not None and theirs > own:
            yield f"{name}:{line}: imports {imported}, which is above it"
        if name == "vmlab" and not imported.startswith(_LIGHT):
            yield f"{name}:{line}: imports {imported}"
        if f"{imported}.".startswith("qemu.qmp.legacy."):
            yield f"{name}:{line}: imports {imported}"
        guards = GUARDED.get(imported.split(".")[0], ())
        if guards and not f"{name}.".startswith(tuple(f"{guard}." for guard in guards)):
            yield f"{name}:{line}: imports {imported}, which is {guards[0]}'s"
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "shell" and not _is_false(node.value):
            yield f"{name}:{node.value.lineno}: shell="
        if isinstance(node, ast.Attribute) and node.attr in ("system", "popen") and ast.unparse(node.value) == "os":
            yield f"{name}:{node.lineno}: {ast.unparse(node)}"


def _module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _layer(name: str) -> int | None:
    for number, prefixes in enumerate(LAYERS):
        if any(f"{name}.".startswith(f"{prefix}.") for prefix in prefixes):
            return number
    return None


def _imports(tree: ast.Module, name: str, *, is_package: bool) -> Iterator[tuple[int, str]]:
    """All imports, also those in functions and for type checking; the front door's types may come from anywhere."""
    seen_by_type_checkers = {
        id(inner)
        for node in tree.body
        if name == "vmlab" and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in seen_by_type_checkers:
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names if alias.name != "__future__")
        elif isinstance(node, ast.ImportFrom) and node.module != "__future__":
            base = node.module or ""
            if node.level:
                parts = name.split(".")
                kept = parts[: len(parts) - node.level + is_package]
                base = ".".join([*kept, base] if base else kept)
            # `from vmlab import lab` imports the module vmlab.lab.
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def _is_false(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is False
