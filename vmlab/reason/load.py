# SPDX-License-Identifier: MIT
"""Reason of a refused module, from the kernel's messages. Pure.

The system call only returns an errno; the kernel log has the symbol, the parameter, the two versions. Messages of
kernel/module/*.c (kernel/module.c before 5.19), kernel/params.c, kernel/bpf/btf.c, kernel/livepatch, security/lockdown
and the architectures' module.c, from 5.10 to 7.3.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from vmlab.reason.command import last_words
from vmlab.text import one_line

# In order of priority: a later pattern may be a consequence of an earlier one. `symbol` is set if there may be several.
_UNKNOWN = re.compile(r".*Unknown symbol (?P<symbol>\S+) \(err -?\d+\)")
_KERNEL = tuple(
    re.compile(pattern)
    for pattern in (
        r".*disagrees about version of symbol (?P<symbol>\S+)",
        r".*no symbol version for (?P<symbol>\S+)",
        r".*module using GPL-only symbols uses symbols ",
        r".*uses symbol \(?(?P<symbol>[^\s()]+)\)? from namespace \S+ but does not import it",
        r".*gave up waiting for init of module ",
        _UNKNOWN.pattern,
        r".*version magic '",
        r"Loading of .* is rejected",
        r".*loading of .* is rejected",
        r"Lockdown: .*module loading is restricted",
        r".*(?:invalid|too large) for parameter ",
        r".*Unknown parameter `",
        r".*(?:can only take|needs at least) \d+ arguments",
        r".*(?:string parameter too long|string doesn't fit in \d+ chars)",
        r".*exports duplicate symbol (?P<symbol>\S+)",
        r".*failed to validate module .* BTF",
        r".*section size must match",
        r".*No module found in object",
        r".*(?:[Ii]nvalid ELF|[Ii]nvalid (?:module )?(?:section|symbol)|Only one .* section must exist)",
        r".*(?:overflow in relocation|(?i:unknown) (?:rela )?relocation|unsupported RELA? relocation)",
        r".*(?:Invalid relocation target|likely not compiled with -mcmodel|please compile with -fno-common)",
        r".*is marked as livepatch module",
        r"livepatch: .*(?:not found|failed|[Ii]nvalid|ambiguity|too large|cannot|can't|unsupported|not supported)",
        r".*(?:Could not allocate \d+ bytes percpu|vmap allocation for size \d+ failed|vmalloc error: size)",
        r"Module \S+ is blacklisted",
        r"(?:PKCS#?7|X\.509|Problem (?:loading|parsing)).*(?:signature|cert|key)",
    )
)
_HARMLESS = re.compile(
    r".*(?:taints kernel|tainting kernel|inheriting taint|unknown parameter '.*' ignored|not compiled with retpoline)"
)


def load_reason(module: str, *, kernel: Sequence[str], warnings: Sequence[str], stderr: str, stdout: str) -> str:
    """Find the kernel's message about a refused module, else insmod's with the module's last warning; empty when
    there is none.

    `kernel` are the lines that the kernel logged during the load, `warnings` those at level 4 and below.
    """
    refused = {match["symbol"] for line in kernel if (match := _UNKNOWN.match(line))}
    for pattern in _KERNEL:
        said = [
            match
            for line in sorted(kernel, key=lambda line: module not in line)
            if (match := pattern.match(line)) and not _HARMLESS.match(line) and _is_about(match, refused)
        ]
        if said:
            symbols = {symbol for match in said if (symbol := match.groupdict().get("symbol"))}
            more = f" (and {len(symbols) - 1} more)" if len(symbols) > 1 else ""
            return one_line(_without_name(said[0].string, module)) + more
    answer = last_words(stderr, stdout)
    own = [line for line in warnings if line.startswith(f"{module}: ") and not _HARMLESS.match(line)]
    if not own:
        return answer
    words = f"it logged {one_line(_without_name(own[-1], module))!r}"
    return f"{answer}; {words}" if answer else words


def _is_about(match: re.Match[str], refused: Collection[str]) -> bool:
    """True if a message is about a refused symbol. False for a symbol that was resolved nevertheless, because the
    configuration allows a missing namespace or version."""
    symbol = match.groupdict().get("symbol")
    return symbol is None or not refused or symbol in refused


def _without_name(line: str, module: str) -> str:
    return line.removeprefix("module ").removeprefix(f"{module}: ")
