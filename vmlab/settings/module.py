# SPDX-License-Identifier: MIT
"""The keys of `[tool.vmlab]` or vmlab.toml that describe a module's tree."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from vmlab.errors import UsageError

_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]{1,100}")
_MODULE = re.compile(r"[\w-]{1,55}", re.ASCII)
_MOST = 100
_LONGEST = 4096
_SET_BY_VMLAB = "M CC LD AR NM ARCH CROSS_COMPILE LLVM O MAKEFLAGS MAKE SHELL KERNELRELEASE KBUILD_EXTRA_SYMBOLS"
_OWN = frozenset(_SET_BY_VMLAB.split())

Scalar = str | int | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleSettings:
    """A module's tree as its user states it; an empty value leaves a fact to what the tree itself tells."""

    tree: str = ""
    """Directory that is copied for a build, relative to the file; it contains the module's directory."""
    source: tuple[str, ...] = ()
    """Directories that Kbuild is called for, relative to the tree."""
    prepare: tuple[str, ...] | None = None
    """Shell commands that run in the tree before Kbuild; None if the key is not set."""
    make: Mapping[str, str] = field(default_factory=dict)
    modules: tuple[str, ...] = ()
    """Names of the modules, in the order in which they are loaded."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Values by `NAME`, or by `MODULE.NAME`."""
    firmware: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    """Paths on the host, relative to the file, by the name in the tree."""
    needs: tuple[str, ...] = ()
    """Directories of other modules, relative to the file."""
    file: Path | None = None
    """The file that states it."""

    @property
    def is_empty(self) -> bool:
        """True if no key is set."""
        return dataclasses.replace(self, file=None) == ModuleSettings()

    def origin(self, key: str) -> str:
        """Return the origin of a key's value for messages: `vmlab.toml: make`."""
        name = self.file.name if self.file is not None else "settings"
        return f"{name}: {key}"


NOTHING_STATED = ModuleSettings()
MODULE_KEYS = frozenset(each.name for each in dataclasses.fields(ModuleSettings)) - {"file"}


def module_settings(table: Mapping[str, Any], file: Path) -> ModuleSettings:
    """Read the module's keys of a table; other keys are ignored. Raises `UsageError` with file and key."""
    reader = _Reader(table, file)
    return ModuleSettings(
        tree=reader.path("tree"),
        source=tuple(map(reader.inner("source"), reader.words("source"))),
        prepare=reader.words("prepare") if "prepare" in table else None,
        make=reader.make(),
        modules=reader.checked("modules", _MODULE, "the name of a module"),
        parameters=reader.parameters(),
        firmware=tuple(map(reader.inner("firmware"), reader.words("firmware"))),
        packages=reader.checked("packages", _PACKAGE, "the name of a Debian package"),
        devices=reader.words("devices"),
        files={reader.inner("files")(name): path for name, path in reader.texts("files").items()},
        needs=reader.words("needs"),
        file=file,
    )


class _Reader:
    def __init__(self, table: Mapping[str, Any], file: Path) -> None:
        self._table, self._file = table, file

    def words(self, key: str) -> tuple[str, ...]:
        found = self._table.get(key, [])
        listed = [found] if isinstance(found, str) else found
        if not isinstance(listed, list) or not all(isinstance(word, str) for word in listed):
            raise self.refusal(key, "must be a text or a list of texts", found)
        if len(listed) > _MOST or any(len(word) > _LONGEST or not word.isprintable() for word in listed):
            raise self.refusal(key, f"must be at most {_MOST} printable texts of {_LONGEST} characters", "more")
        return tuple(word for word in listed if word)

    def checked(self, key: str, pattern: re.Pattern[str], what: str) -> tuple[str, ...]:
        for word in self.words(key):
            if not pattern.fullmatch(word):
                raise self.refusal(key, f"must be {what}", word)
        return self.words(key)

    def path(self, key: str) -> str:
        found = self._table.get(key, "")
        if not isinstance(found, str) or Path(found).is_absolute():
            raise self.refusal(key, "must be a path relative to this file", found)
        return found

    def inner(self, key: str) -> Any:
        """Return a check of a path in the tree."""

        def check(word: str) -> str:
            path = PurePosixPath(word)
            if path.is_absolute() or ".." in path.parts:
                raise self.refusal(key, "must be a path in the module's tree", word)
            return str(path)

        return check

    def texts(self, key: str) -> dict[str, str]:
        found = self._table.get(key, {})
        if not isinstance(found, dict) or len(found) > _MOST:
            raise self.refusal(key, f"must be a table of at most {_MOST} keys", found)
        for name, value in found.items():
            if not isinstance(value, Scalar) or len(str(value)) > _LONGEST or not str(value).isprintable():
                raise self.refusal(f"{key}.{name}", "must be a text, a number or true or false", value)
        return {name: _as_text(value) for name, value in found.items()}

    def make(self) -> dict[str, str]:
        table = self._table.get("make", {})
        found = self.texts("make")
        for name in found:
            # Kconfig's values.
            found[name] = ("y" if table[name] else "n") if isinstance(table[name], bool) else found[name]
            if name in _OWN:
                raise UsageError(f"{self._file}: make: {name} is set by vmlab", hint="remove it")
            if not _NAME.fullmatch(name):
                raise self.refusal("make", "must have names of letters, digits and underscores", name)
        return found

    def parameters(self) -> dict[str, str]:
        table = self._table.get("parameters", {})
        if not isinstance(table, dict):
            raise self.refusal("parameters", "must be a table", table)
        plain = {name: value for name, value in table.items() if not isinstance(value, dict)}
        found = _Reader({"parameters": plain}, self._file).texts("parameters")
        for module in table.keys() - plain.keys():
            inner = _Reader({"parameters": table[module]}, self._file).texts("parameters")
            found |= {f"{module}.{name}": value for name, value in inner.items()}
        for name in found:
            if not all(_MODULE.fullmatch(part) for part in name.split(".")):
                raise self.refusal("parameters", "must have names of letters, digits and underscores", name)
        return found

    def refusal(self, key: str, rule: str, value: object) -> UsageError:
        return UsageError(f"{self._file}: {key} {rule}, got {str(value)[:200]!r}")


def _as_text(value: Scalar) -> str:
    """Return a value as the kernel and make write it: Y and N for a boolean (kernel/params.c)."""
    return ("Y" if value else "N") if isinstance(value, bool) else str(value)
