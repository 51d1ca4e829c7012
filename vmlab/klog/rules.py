# SPDX-License-Identifier: MIT
"""Which reports in a kernel log mean trouble, and which are known: images/known-splats.toml and the user's own."""

from __future__ import annotations

import datetime
import functools
import re
from dataclasses import dataclass
from pathlib import Path

from vmlab.catalogue.matrix import catalogue_directory
from vmlab.catalogue.release import line_of
from vmlab.decode import read_toml, structure
from vmlab.errors import UsageError, nearest

_FILE = "known-splats.toml"


@dataclass(frozen=True, slots=True)
class Deny:
    """A kind of report, known by its first line."""

    kind: str
    literal: str
    is_start: bool
    pattern: re.Pattern[str] | None
    is_trouble: bool
    needs_trace: bool = False
    """True where a driver may print such a line: it is a report only with a call trace."""
    is_message: bool = False
    """True for what WARN() or BUG() says beside the line with its place."""
    is_once: bool = False
    """True for what the kernel repeats: lines that are the same as far as the pattern reaches are one fault."""
    follows: tuple[str, ...] = ()
    """Kinds of reports that it belongs to when it comes right after one; `*` is any."""
    follows_process: int | None = None
    """The only process whose report it follows from."""

    def fits(self, line: str) -> bool:
        if self.is_start and not line.startswith(self.literal):
            return False
        return self.pattern is None or self.pattern.search(line) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Allow:
    """A report that is known and may be, for now."""

    kind: str
    text: str
    reason: str
    link: str
    expires: datetime.date
    where: str
    """The file that it stands in."""
    since: str = ""
    until: str = ""

    def covers(self, kind: str, text: str, release: str) -> bool:
        """Whether it speaks of such a report on such a kernel, expired or not."""
        if kind != self.kind or self.text not in text:
            return False
        line = line_of(release)
        return (not self.since or line >= line_of(self.since)) and (not self.until or line <= line_of(self.until))

    def is_expired(self, today: datetime.date) -> bool:
        return today >= self.expires

    def __str__(self) -> str:
        return f"{self.where}: [[allow]] {self.kind} {self.text!r}: {self.reason} ({self.link})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Everything that is known about reports."""

    deny: tuple[Deny, ...]
    allow: tuple[Allow, ...] = ()

    def expired(self, today: datetime.date) -> tuple[Allow, ...]:
        return tuple(entry for entry in self.allow if entry.is_expired(today))


@dataclass(frozen=True, slots=True, kw_only=True)
class _DenyRow:
    kind: str
    starts: str = ""
    contains: str = ""
    pattern: str = ""
    trouble: bool = True
    needs_trace: bool = False
    message: bool = False
    once: bool = False
    follows: tuple[str, ...] = ()
    follows_process: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _AllowRow:
    kind: str
    text: str
    reason: str
    link: str
    expires: datetime.date
    since: str = ""
    until: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    deny: tuple[_DenyRow, ...] = ()
    allow: tuple[_AllowRow, ...] = ()


def known_splats_file() -> Path:
    """The rules that come with vmlab, as people edit them."""
    return catalogue_directory() / _FILE


@functools.cache
def known_rules() -> Rules:
    """The same, read."""
    return load_rules(known_splats_file())


def load_rules(*files: Path) -> Rules:
    """The rules of several files, the first file's first; `UsageError` for a rule that makes no sense, or when there
    is none that denies: a scan that knows no trouble finds none."""
    deny: list[Deny] = []
    allow: list[Allow] = []
    followed: list[tuple[str, str]] = []
    for path in files:
        table = structure(read_toml(path), _File, where=str(path))
        deny += [_deny(row, path) for row in table.deny]
        followed += [(f"{path}: [[deny]] {row.kind!r}", kind) for row in table.deny for kind in row.follows]
        allow += [_allow(row, path) for row in table.allow]
    if not any(rule.is_trouble for rule in deny):
        raise UsageError(f"no [[deny]] rule in {', '.join(map(str, files))}", hint="a scan without rules finds nothing")
    kinds = {rule.kind for rule in deny}
    for where, kind in followed:
        if kind not in {*kinds, "*"}:
            raise UsageError(f"{where}: follows {kind!r}: unknown kind", hint=nearest(kind, kinds))
    for entry in allow:
        if entry.kind not in kinds:
            raise UsageError(f"{entry.where}: [[allow]] {entry.kind!r}: unknown kind", hint=nearest(entry.kind, kinds))
    return Rules(deny=tuple(deny), allow=tuple(allow))


def _deny(row: _DenyRow, path: Path) -> Deny:
    where = f"{path}: [[deny]] {row.kind!r}"
    if bool(row.starts) == bool(row.contains):
        raise UsageError(f"{where}: needs one of starts and contains", hint="what its first line begins with, or holds")
    try:
        pattern = re.compile(row.pattern) if row.pattern else None
    except re.error as error:
        raise UsageError(f"{where}: pattern: {row.pattern!r} is no regular expression", hint=str(error)) from None
    if row.once and pattern is None:
        raise UsageError(f"{where}: once needs a pattern", hint="lines are the same as far as the pattern reaches")
    literal = row.starts or row.contains
    return Deny(
        kind=row.kind,
        literal=literal,
        is_start=bool(row.starts),
        pattern=pattern,
        is_trouble=row.trouble,
        needs_trace=row.needs_trace,
        is_message=row.message,
        is_once=row.once,
        follows=row.follows,
        follows_process=row.follows_process,
    )


def _allow(row: _AllowRow, path: Path) -> Allow:
    where = f"{path}: [[allow]] {row.kind!r}"
    for name in ("text", "reason", "link"):
        if not getattr(row, name).strip():
            raise UsageError(
                f"{where}: {name} is empty", hint="an entry tells what it allows, why, and where to read on"
            )
    for name in ("since", "until"):
        word = getattr(row, name)
        if word and not re.fullmatch(r"\d+\.\d+", word):
            raise UsageError(f"{where}: {name}: {word!r} is no kernel line", hint="like '6.12'")
    if row.since and row.until and line_of(row.since) > line_of(row.until):
        raise UsageError(f"{where}: since {row.since} is after until {row.until}", hint="no kernel is between them")
    return Allow(
        kind=row.kind,
        text=row.text,
        reason=row.reason,
        link=row.link,
        expires=row.expires,
        where=path.name,
        since=row.since,
        until=row.until,
    )
