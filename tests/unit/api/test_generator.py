# SPDX-License-Identifier: MIT
"""The generator of the map: BTF, headers, options and packages read, and rows made from them."""

from __future__ import annotations

import struct

import pytest
from apimap.archive import Deb, newest_kernels, parse_stanzas
from apimap.btf import Btf, InvalidBtf
from apimap.collect import Facts
from apimap.headers import declared_in
from apimap.merge import facts_of, rows_of
from apimap.options import Options, lacking

from unit.api.conftest import LINES, ROWS
from vmlab.api.map_file import ApiMap, Line, map_bytes
from vmlab.api.rows import Kind


class _Types:
    """Writes BTF, type after type."""

    def __init__(self, *, first_string: int = 0) -> None:
        self._first_string = first_string
        self._strings = b"" if first_string else b"\0"
        self._types = b""

    def name(self, text: str) -> int:
        at = self._first_string + len(self._strings)
        self._strings += text.encode() + b"\0"
        return at

    def add(self, kind: int, name: str, size: int, *words: int, parts: int = 0) -> None:
        head = (self.name(name) if name else 0, kind << 24 | parts, size)
        self._types += struct.pack(f"<{3 + len(words)}I", *head, *words)

    @property
    def data(self) -> bytes:
        sizes = (24, 0, len(self._types), len(self._types), len(self._strings))
        return struct.pack("<HBBIIIII", 0xEB9F, 1, 0, *sizes) + self._types + self._strings


def _vmlinux() -> _Types:
    types = _Types()
    types.add(1, "long unsigned int", 8, 0)  # 1
    types.add(10, "", 4)  # 2: const of 4
    types.add(2, "", 2)  # 3: pointer to 2
    types.add(4, "urb", 8, types.name("length"), 1, 0, 0, 6, 64, parts=2)  # 4, with a nameless union
    types.add(13, "", 1, 0, 3, 0, 0, parts=2)  # 5: returns 1, takes 3 and more
    types.add(5, "", 8, types.name("inner"), 3, 0, parts=1)  # 6
    types.add(12, "submit", 5)  # 7
    types.add(6, "mode", 4, types.name("MODE_A"), 0, parts=1)  # 8
    return types


def test_a_prototype_is_shown_as_headers_have_it() -> None:
    btf = Btf(_vmlinux().data)

    assert {name: btf.prototype(number) for name, number in btf.functions().items()} == {
        "submit": "unsigned long (const struct urb *, ...)"
    }


def test_the_members_of_a_nameless_union_are_members() -> None:
    btf = Btf(_vmlinux().data)

    (number,) = (number for _, name, number in btf.compounds() if name == "urb")
    assert list(btf.members(number)) == [("length", "unsigned long"), ("inner", "const struct urb *")]
    assert list(btf.constants()) == ["MODE_A"]


def test_a_modules_types_continue_those_of_the_kernel() -> None:
    base = _vmlinux()
    own = _Types(first_string=len(base.data) - 24 - struct.unpack_from("<I", base.data, 12)[0])
    own.add(13, "", 0, 0, 3, parts=1)  # 9
    own.add(12, "own", 9)  # 10
    btf = Btf(own.data, Btf(base.data))

    assert {name: btf.prototype(number) for name, number in btf.functions().items()} == {
        "own": "void (const struct urb *)"
    }


@pytest.mark.parametrize("data", [b"", b"\x9f\xeb\x01\x00", b"x" * 64, _vmlinux().data[:40]])
def test_damaged_types_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidBtf):
        Btf(data)


_HEADER = """\
#define BOTH(a, b) do { } while (0)
#define ANY(a, ...) f(a, __VA_ARGS__)
#define SIZE 4 /* not a function */
#define wrapped(x) inner_call(x)
extern __must_check int submit(struct urb *urb, gfp_t flags) __printf(1, 2);
typedef int (*callback_t)(void *);
struct thing {
	int a;
	enum { INNER_A, INNER_B = (1 << 2), } kind;
};
enum mode { MODE_A, MODE_B };
static inline void old_name(struct timer_list *timer)
{
	new_name(timer);
}
void *many(const char *name, unsigned long int n, int (*cb)(void *data, unsigned x), char list[], ...);
#ifdef CONFIG_X
int in_a_branch(void);
#endif
"""


def test_the_declarations_of_a_header_are_found_by_shape() -> None:
    found = declared_in(_HEADER)

    assert found.macros == {"BOTH": "2", "ANY": "1+", "SIZE": "-", "wrapped": "1"}
    assert found.prototypes == {
        "submit": "int (struct urb *, gfp_t)",
        "old_name": "void (struct timer_list *)",
        "many": "void *(const char *, unsigned long, int (*)(void *, unsigned int), char *, ...)",
        "in_a_branch": "int (void)",
    }
    assert found.inlines == {"old_name"}
    assert found.aliases == {"wrapped": "inner_call", "old_name": "new_name"}
    assert found.types == {"callback_t": "typedef", "thing": "struct", "mode": "enum"}
    assert found.constants == {"INNER_A", "INNER_B", "MODE_A", "MODE_B"}


@pytest.mark.parametrize("text", ["", "}}}}", "{{{{", "enum {", "#define", "int f(", "typedef ;", "struct {};;;"])
def test_an_odd_header_is_read_without_an_error(text: str) -> None:
    assert declared_in(text).prototypes == {}


def test_the_option_that_the_cloud_flavour_lacks_is_the_outermost() -> None:
    generic = Options.parse("CONFIG_USB_SUPPORT=y\nCONFIG_USB=m\nCONFIG_HWMON=y\n")
    cloud = Options.parse("# CONFIG_USB_SUPPORT is not set\nCONFIG_NET=y\n")

    assert lacking("drivers/usb/core/usbcore", "", generic, cloud) == "CONFIG_USB_SUPPORT"
    assert lacking("vmlinux", "linux/hwmon.h", generic, cloud) == "CONFIG_HWMON"
    assert lacking("vmlinux", "linux/fs.h", generic, cloud) == "-"
    assert lacking("drivers/usb/core/usbcore", "", generic, generic) == "-"


def _stanzas(*names: str, version: str) -> list[dict[str, str]]:
    return [{"Package": name, "Version": version} for name in names]


def test_the_newest_kernel_with_headers_is_chosen_else_the_newest() -> None:
    whole = ("linux-image-6.1.0-5-amd64", "linux-headers-6.1.0-5-amd64", "linux-headers-6.1.0-5-cloud-amd64")
    stanzas = [
        *_stanzas(*whole, "linux-headers-6.1.0-5-common", version="6.1.5-1"),
        *_stanzas("linux-image-6.1.0-6-amd64", version="6.1.6-1"),
        *_stanzas("linux-image-7.0.9+deb13-amd64", "linux-binary-7.0.9+deb13-amd64", version="7.0.9-1"),
        *_stanzas("linux-image-7.0.10+deb13-amd64", "linux-image-7.0.10+deb13-rt-amd64", version="7.0.10-1"),
        *_stanzas("linux-image-amd64", "linux-image-6.1.0-9-amd64-dbg", version="9"),
    ]

    older, newer = newest_kernels(stanzas)

    assert (older.line, older.version, len(older.headers), len(older.cloud)) == ("6.1", "6.1.5-1", 2, 1)
    assert (newer.line, newer.headers) == ("7.0", ())
    assert newer.image == (Deb(name="linux-image-7.0.10+deb13-amd64", version="7.0.10-1"),)


def test_only_kernel_packages_of_an_index_are_read() -> None:
    text = "Package: bash\nVersion: 5\n\nPackage: linux-image-6.1.0-5-amd64\nSource: linux\nVersion: 6.1.5-1\nX: y\n"

    assert list(parse_stanzas(text)) == [{"Package": "linux-image-6.1.0-5-amd64", "Version": "6.1.5-1"}]


def test_a_map_gives_back_the_facts_that_it_was_made_from() -> None:
    facts = facts_of(ApiMap(map_bytes(LINES, ROWS)))
    again = facts_of(ApiMap(map_bytes(LINES, rows_of(LINES, facts))))

    assert facts["6.1"]["fewer", Kind.MACRO] == "2"
    assert again == facts


def test_the_same_facts_give_the_same_bytes() -> None:
    facts = facts_of(ApiMap(map_bytes(LINES, ROWS)))

    assert map_bytes(LINES, rows_of(LINES, facts)) == map_bytes(LINES, reversed(rows_of(LINES, facts)))


_TWO = tuple(Line(line=line, version="1", has_headers=True, has_modules=True) for line in ("6.1", "6.12"))


def _successor(older: Facts, newer: Facts, name: str) -> str | None:
    found = [row for row in rows_of(_TWO, {"6.1": older, "6.12": newer}) if row.kind is Kind.SUCCESSOR]
    return next((row.values[1] for row in found if row.name == name), None)


def _exported(name: str, prototype: str) -> Facts:
    return {(name, Kind.EXPORT): "all - vmlinux", (name, Kind.PROTOTYPE): prototype}


def test_the_successor_of_a_wrapper_is_the_function_that_it_called() -> None:
    older: Facts = {("old", Kind.HEADER): "i:linux/a.h", ("old", Kind.ALIAS): "other"}

    assert _successor(older, _exported("other", "int (void)"), "old") == "=other"


def test_a_near_name_of_the_same_type_is_a_successor_only_if_it_is_new() -> None:
    older, newer = _exported("pde_file_data", "void *(int)"), _exported("pde_files_data", "void *(int)")

    assert _successor(older, newer, "pde_file_data") == "~pde_files_data"
    assert _successor(older | newer, newer, "pde_file_data") is None
    assert _successor(older, _exported("pde_files_data", "int (int)"), "pde_file_data") is None


def test_the_opposite_of_a_function_does_not_succeed_it() -> None:
    older, newer = _exported("thing_core_init", "int (void)"), _exported("thing_core_exit", "int (void)")

    assert _successor(older, newer, "thing_core_init") is None


def test_a_member_with_underscores_added_is_named() -> None:
    older: Facts = {("task", Kind.MEMBERS): "struct", ("task.state", Kind.MEMBER): "long"}
    newer: Facts = {("task", Kind.MEMBERS): "struct", ("task.__state", Kind.MEMBER): "unsigned int"}

    assert _successor(older, newer, "task.state") == "+__state"
