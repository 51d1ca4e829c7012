# SPDX-License-Identifier: MIT
"""Names that a module uses and the newest line changed."""

from __future__ import annotations

from unit.api.conftest import history_of, row
from vmlab.api.ahead import changes_ahead, used_in
from vmlab.api.rows import Kind

_EXPORT = "gpl - vmlinux"
_SOURCE = """\
#include <linux/leaving.h>
/* leaving_in_a_comment() */
static struct ops mine = { .leaving_member = call, .stays = 1 };
int f(void) { return leaving(LEAVING_FLAG) + staying("leaving_in_a_string()"); }
"""
_ROWS = [
    *(row(name, Kind.EXPORT, *(_EXPORT,) * 4, None) for name in ("leaving", "leaving_in_a_comment", "unused")),
    row("leaving_in_a_string", Kind.EXPORT, *(_EXPORT,) * 4, None),
    row("staying", Kind.EXPORT, *(_EXPORT,) * 5),
    row("staying", Kind.PROTOTYPE, *("int (char *)",) * 4, "int (const char *)"),
    row("LEAVING_FLAG", Kind.CONSTANT, "", "", None, None, None),
    row("linux/leaving.h", Kind.FILE, "", "", None, None, None),
    row("ops", Kind.TYPE, *("struct",) * 5),
    row("ops", Kind.MEMBERS, *("struct",) * 5),
    row("ops.leaving_member", Kind.MEMBER, *("int",) * 4, None),
    row("ops.stays", Kind.MEMBER, *("int",) * 5),
    row("earlier", Kind.EXPORT, _EXPORT, None, None, None, None),
]


def test_what_the_newest_line_changed_is_named_once_each() -> None:
    said = changes_ahead(used_in([_SOURCE], ["earlier", "staying"]), history_of(_ROWS))

    assert [one.text for one in said] == [
        "`LEAVING_FLAG` is there in 6.1 and gone in 7.2",
        "`leaving()` is there in 7.0 and gone in 7.2",
        "`leaving_member` of struct ops is there in 7.0 and gone in 7.2",
        "`staying()` is `int (char *)` in 7.0 and `int (const char *)` in 7.2",
        "linux/leaving.h is there in 6.1 and gone in 7.2",
    ]


def test_a_module_without_changes_ahead_gets_an_empty_list() -> None:
    assert changes_ahead(used_in(["int f(void) { return 0; }"]), history_of(_ROWS)) == []


def test_hostile_sources_are_searched_to_their_end() -> None:
    used = used_in(["/*" * 300_000, '"' * 300_000, "a." * 300_000, "struct " * 100_000, "(" * 500_000, "A_" * 300_000])

    assert used.calls == frozenset()
