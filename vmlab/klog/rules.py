# SPDX-License-Identifier: MIT
"""Rules for splats, and for known splats that are allowed: images/known-splats.toml and the user's files."""

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
_LONGEST_LINE = 300
"""Characters of a line that a user's pattern is matched with: a title is shorter, and some patterns take the square of
them."""
_ESCAPES_AND_SETS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_REPEATED_GROUP = re.compile(r"\)[*+{]")


@dataclass(frozen=True, slots=True)
class Deny:
    """A kind of splat, recognized by its first line."""

    kind: str
    literal: str
    is_start: bool
    pattern: re.Pattern[str] | None
    is_trouble: bool
    needs_trace: bool = False
    """True if drivers may print such a line: it is a splat only with a call trace."""
    is_message: bool = False
    """True for the message of a WARN() or BUG(), printed beside the line with the position."""
    is_once: bool = False
    """True if the kernel repeats it: lines with the same match of the pattern are one fault."""
    follows: tuple[str, ...] = ()
    """Kinds of splats that it is a consequence of when it comes right after one; `*` is any."""
    follows_process: int | None = None
    """Process id of the splat that it is a consequence of; None for any process."""
    is_users: bool = False
    """True for a rule from a file of the user, which must not hide a splat that vmlab's rules recognize."""

    def fits(self, line: str) -> bool:
        if self.is_start and not line.startswith(self.literal):
            return False
        text = line[:_LONGEST_LINE] if self.is_users else line
        return self.pattern is None or self.pattern.search(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Allow:
    """A known splat that is allowed until a date."""

    kind: str
    text: str
    reason: str
    link: str
    expires: datetime.date
    where: str
    """Name of the file that contains the entry."""
    since: str = ""
    until: str = ""

    def covers(self, kind: str, text: str, release: str) -> bool:
        """True if it matches a splat on a kernel release, expired or not."""
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
    """Rules for splats, and entries of the allow list."""

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
    """Path of the rules that come with vmlab."""
    return catalogue_directory() / _FILE


@functools.cache
def known_rules() -> Rules:
    """Load the rules that come with vmlab."""
    return load_rules(known_splats_file())


def load_rules(*files: Path) -> Rules:
    """Load the rules of several files; of two that match a line, the first decides.

    Raises `UsageError` for an invalid rule, or when no rule denies anything: such a scan would always pass.
    """
    deny: list[Deny] = []
    allow: list[Allow] = []
    followed: list[tuple[str, str]] = []
    for path in files:
        table = structure(read_toml(path), _File, where=str(path))
        deny += [_deny(row, path) for row in table.deny]
        followed += [(f"{path}: [[deny]] {row.kind!r}", kind) for row in table.deny for kind in row.follows]
        allow += [_allow(row, path) for row in table.allow]
    if not any(rule.is_trouble for rule in deny):
        raise UsageError(f"no [[deny]] rule in {', '.join(map(str, files))}", hint="add at least one [[deny]] rule")
    kinds = {rule.kind for rule in deny}
    for where, kind in followed:
        if kind not in {*kinds, "*"}:
            raise UsageError(f"{where}: follows: unknown kind {kind!r}", hint=nearest(kind, kinds))
    for entry in allow:
        if entry.kind not in kinds:
            raise UsageError(f"{entry.where}: [[allow]]: unknown kind {entry.kind!r}", hint=nearest(entry.kind, kinds))
    return Rules(deny=tuple(deny), allow=tuple(allow))


def _deny(row: _DenyRow, path: Path) -> Deny:
    where = f"{path}: [[deny]] {row.kind!r}"
    if bool(row.starts) == bool(row.contains):
        raise UsageError(f"{where}: needs either starts or contains", hint="the start of its first line, or a part")
    try:
        pattern = re.compile(row.pattern) if row.pattern else None
    except re.error as error:
        raise UsageError(f"{where}: pattern {row.pattern!r} is not a regular expression", hint=str(error)) from None
    is_users = path != known_splats_file()
    if is_users and _REPEATED_GROUP.search(_ESCAPES_AND_SETS.sub("x", row.pattern)):
        # re tries every way to divide a line among the repetitions: "(a|aa)+$" takes 8 s for 34 characters.
        raise UsageError(
            f"{where}: pattern {row.pattern!r} repeats a group", hint="repeat a character or a set: 'a+' or '[ab]+'"
        )
    if row.once and pattern is None:
        raise UsageError(
            f"{where}: once needs a pattern", hint="lines with the same match of the pattern are one fault"
        )
    if row.message and (row.once or not row.trouble):
        # It would decide about the WARN() or BUG() beside which it is printed.
        raise UsageError(f"{where}: message with once or trouble = false would hide a report", hint="leave one out")
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
        is_users=is_users,
    )


def _allow(row: _AllowRow, path: Path) -> Allow:
    where = f"{path}: [[allow]] {row.kind!r}"
    for name in ("text", "reason", "link"):
        if not getattr(row, name).strip():
            raise UsageError(f"{where}: {name} is empty", hint="an entry needs a text to match, a reason and a link")
    for name in ("since", "until"):
        word = getattr(row, name)
        if word and not re.fullmatch(r"\d+\.\d+", word):
            raise UsageError(f"{where}: {name} {word!r} is not a kernel line", hint="expected e.g. '6.12'")
    if row.since and row.until and line_of(row.since) > line_of(row.until):
        raise UsageError(f"{where}: since {row.since!r} is after until {row.until!r}", hint="exchange since and until")
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
