# SPDX-License-Identifier: MIT
"""A small map of four kernel lines, of which one has no headers and one neither headers nor modules."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from vmlab.api.history import History
from vmlab.api.map_file import ApiMap, Line, map_bytes
from vmlab.api.rows import Kind, Row

LINES = (
    Line(line="5.10", version="5.10.1-1", has_headers=True, has_modules=True),
    Line(line="6.1", version="6.1.1-1", has_headers=True, has_modules=True),
    Line(line="6.16", version="6.16.1-1", has_headers=False, has_modules=True),
    Line(line="7.0", version="7.0.1-1", has_headers=False, has_modules=False),
    Line(line="7.2", version="7.2.1-1", has_headers=True, has_modules=True),
)
_BUILT_IN, _USB = "gpl - vmlinux", "gpl - drivers/usb/core/usbcore"


def row(name: str, kind: Kind, *values: str | None) -> Row:
    """Make a row of five lines."""
    return Row(name=name, kind=kind, values=values)


ROWS = (
    row("gone_soon", Kind.EXPORT, _BUILT_IN, _BUILT_IN, None, None, None),
    row("gone_soon", Kind.HEADER, "e:linux/a.h", "e:linux/a.h", None, None, None),
    row("gone_soon", Kind.PROTOTYPE, "int (int)", "int (int)", None, None, None),
    row("old_wrapper", Kind.HEADER, "i:linux/a.h", "i:linux/a.h", None, None, None),
    row("old_wrapper", Kind.PROTOTYPE, "~void (void)", "~void (void)", None, None, None),
    row("old_wrapper", Kind.SUCCESSOR, None, None, None, None, "=new_name"),
    row("usb_call", Kind.EXPORT, _USB, _USB, _USB, None, _USB),
    row("usb_call", Kind.LACKING, "CONFIG_USB_SUPPORT", "CONFIG_USB_SUPPORT", None, None, "-"),
    row("usb_call", Kind.PROTOTYPE, *("int (struct urb *, gfp_t)",) * 3, None, "int (struct urb *, gfp_t)"),
    row("fewer", Kind.MACRO, "2", "2", None, None, None),
    row("fewer", Kind.EXPORT, None, None, _BUILT_IN, _BUILT_IN, _BUILT_IN),
    row("fewer", Kind.HEADER, "m:linux/b.h", "m:linux/b.h", None, None, "e:linux/b.h"),
    row("fewer", Kind.PROTOTYPE, None, None, *("void *(const char *)",) * 3),
    row("ops", Kind.TYPE, *("struct",) * 5),
    row("ops", Kind.MEMBERS, *("struct",) * 5),
    row("ops.remove", Kind.MEMBER, "int (*)(void)", "int (*)(void)", *("void (*)(void)",) * 3),
    row("ops.old", Kind.MEMBER, "int", "int", None, None, None),
    row("ops.old", Kind.SUCCESSOR, None, None, "+__old", None, None),
    row("ops.wireless", Kind.MEMBER, *("int",) * 5),
    row("linux/a.h", Kind.FILE, "", "", None, None, ""),
    row("linux/moved.h", Kind.FILE, None, None, None, None, ""),
    row("asm/moved.h", Kind.FILE, "", "", None, None, None),
    row("NEW_FLAG", Kind.CONSTANT, None, None, None, None, ""),
    row("hidden", Kind.HEADER, *("e:linux/a.h",) * 2, None, None, "e:linux/a.h"),
    row("spaced", Kind.EXPORT, _BUILT_IN, "gpl SPACE vmlinux", *("gpl SPACE vmlinux",) * 3),
    row("freed", Kind.EXPORT, "all - vmlinux", "gpl - vmlinux", *("gpl - vmlinux",) * 3),
)


def history_of(rows: Iterable[Row]) -> History:
    """Write a map of these rows and read it back."""
    return History(ApiMap(map_bytes(LINES, rows)))


@pytest.fixture(scope="session")
def history() -> History:
    """The small map."""
    return history_of(ROWS)
