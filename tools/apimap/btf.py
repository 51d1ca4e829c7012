# SPDX-License-Identifier: MIT
"""BTF, the kernel's own type information: functions, structures and constants; Documentation/bpf/btf.rst.

A module's BTF is split: its type and string numbers continue those of vmlinux.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

_MAGIC = 0xEB9F
_INT, _PTR, _ARRAY, _STRUCT, _UNION, _ENUM, _FWD, _TYPEDEF, _VOLATILE, _CONST, _RESTRICT, _FUNC, _PROTO = range(1, 14)
_VAR, _DATASEC, _FLOAT, _DECL_TAG, _TYPE_TAG, _ENUM64 = range(14, 20)
# Words of 4 bytes after the three of a type: fixed, and for each of its `vlen` parts.
_FIXED = {_INT: 1, _ARRAY: 3, _VAR: 1, _DECL_TAG: 1}
_EACH = {_STRUCT: 3, _UNION: 3, _ENUM: 2, _PROTO: 2, _DATASEC: 3, _ENUM64: 3}
_WORDS = {_STRUCT: "struct", _UNION: "union", _ENUM: "enum", _ENUM64: "enum"}
_QUALIFIERS = {_VOLATILE: "volatile", _CONST: "const", _RESTRICT: "restrict"}
_DEEPEST = 40
# The compiler's names of the integers (DWARF) and those that headers use.
_INTEGERS = {
    "long unsigned int": "unsigned long",
    "long int": "long",
    "long long unsigned int": "unsigned long long",
    "long long int": "long long",
    "short unsigned int": "unsigned short",
    "short int": "short",
    "_Bool": "bool",
}


class InvalidBtf(Exception):
    """The data is not BTF, or is damaged."""


class Btf:
    """Types of vmlinux, or of a module with those of vmlinux as `base`."""

    def __init__(self, data: bytes, base: Btf | None = None) -> None:
        """Index the types: 1 s for vmlinux. Raises `InvalidBtf`."""
        try:
            magic, _, _, length, type_at, type_length, string_at, string_length = struct.unpack_from("<HBBIIIII", data)
        except struct.error as error:
            raise InvalidBtf(str(error)) from None
        if magic != _MAGIC or max(type_at + type_length, string_at + string_length) + length > len(data):
            raise InvalidBtf("no BTF header")
        self._base = base
        self._strings = data[length + string_at : length + string_at + string_length]
        self._first_string: int = base._end_of_strings if base else 0
        self._end_of_strings: int = self._first_string + string_length
        self._words: tuple[int, ...] = struct.unpack_from(f"<{type_length // 4}I", data, length + type_at)
        self._first: int = base._end if base else 1
        self._at = list(self._positions())
        self._end: int = self._first + len(self._at)
        self._shown: dict[int, str] = {}

    def functions(self) -> dict[str, int]:
        """Return the numbers of the prototypes by the functions' names; a name with several prototypes is left out."""
        found: dict[str, int] = {}
        shown: dict[str, str] = {}
        for at in self._at:
            if self._kind(at) == _FUNC:
                name, proto = self._name(self._words[at]), self._words[at + 2]
                if name in found and shown.setdefault(name, self.prototype(found[name])) != self.prototype(proto):
                    found[name] = 0
                found.setdefault(name, proto)
        return {name: proto for name, proto in found.items() if proto}

    def compounds(self) -> Iterator[tuple[str, str, int]]:
        """Yield keyword, name and number of each struct, union, enum and typedef with a name."""
        for number, at in enumerate(self._at, start=self._first):
            kind = self._kind(at)
            if self._words[at] and (kind in _WORDS or kind == _TYPEDEF):
                yield _WORDS.get(kind, "typedef"), self._name(self._words[at]), number

    def constants(self) -> Iterator[str]:
        """Yield the names of all enumeration constants."""
        for at in self._at:
            kind = self._kind(at)
            if kind in (_ENUM, _ENUM64):
                for part in range(at + 3, at + 3 + self._parts(at) * _EACH[kind], _EACH[kind]):
                    yield self._name(self._words[part])

    def members(self, number: int, depth: int = 0) -> Iterator[tuple[str, str]]:
        """Yield name and type of a structure's members, also those of the nameless structures in it."""
        at = self._position(number)
        words = self._owner(number)._words
        for part in range(at + 3, at + 3 + self._owner(number)._parts(at) * 3, 3):
            name, kind = self._name(words[part]), words[part + 1]
            if name:
                yield name, self.shown(kind)
            elif depth < _DEEPEST:
                inner = self._unqualified(kind)
                if self._owner(inner)._kind(self._position(inner)) in (_STRUCT, _UNION):
                    yield from self.members(inner, depth + 1)

    def prototype(self, number: int) -> str:
        """Return a function's type, `int (struct urb *, gfp_t)`."""
        return _squeezed(self._declared(number, "", 0))

    def shown(self, number: int) -> str:
        """Return a type as C has it, without a name: `const struct file_operations *`."""
        if number not in self._shown:
            self._shown[number] = _squeezed(self._declared(number, "", 0))
        return self._shown[number]

    def _positions(self) -> Iterator[int]:
        at, words = 0, self._words
        while at < len(words):
            yield at
            info = words[at + 1]
            kind = info >> 24 & 31
            at += 3 + _FIXED.get(kind, 0) + (_EACH[kind] * (info & 0xFFFF) if kind in _EACH else 0)

    def _kind(self, at: int) -> int:
        return self._words[at + 1] >> 24 & 31

    def _parts(self, at: int) -> int:
        return self._words[at + 1] & 0xFFFF

    def _owner(self, number: int) -> Btf:
        return self._base if self._base is not None and number < self._first else self

    def _position(self, number: int) -> int:
        owner = self._owner(number)
        try:
            return owner._at[number - owner._first]
        except IndexError:
            raise InvalidBtf(f"there is no type {number}") from None

    def _name(self, offset: int) -> str:
        if self._base is not None and offset < self._first_string:
            return self._base._name(offset)
        start = offset - self._first_string
        return self._strings[start : self._strings.index(b"\0", start)].decode("ascii", errors="replace")

    def _unqualified(self, number: int) -> int:
        for _ in range(_DEEPEST):
            owner, at = self._owner(number), self._position(number) if number else -1
            if at < 0 or owner._kind(at) not in (*_QUALIFIERS, _TYPE_TAG):
                return number
            number = owner._words[at + 2]
        raise InvalidBtf("qualifiers without end")

    def _declared(self, number: int, inner: str, depth: int) -> str:
        """Return a declaration of `inner` with a type: C's declarators grow from the inside out."""
        if number == 0 or depth > _DEEPEST:
            return f"void {inner}"
        owner, at = self._owner(number), self._position(number)
        words, kind = owner._words, owner._kind(at)
        if kind == _PTR:
            target = words[at + 2]
            wanted = owner._kind(self._position(target)) if target and owner is self._owner(target) else 0
            wanted = wanted or (self._owner(target)._kind(self._position(target)) if target else 0)
            return self._declared(target, f"(*{inner})" if wanted in (_PROTO, _ARRAY) else f"*{inner}", depth + 1)
        if kind in _QUALIFIERS:
            # `const` of a pointer stands after its star, of anything else before the type.
            target = self._unqualified(words[at + 2])
            is_pointer = target and self._owner(target)._kind(self._position(target)) == _PTR
            word = _QUALIFIERS[kind]
            if is_pointer:
                return self._declared(words[at + 2], f" {word} {inner}", depth + 1)
            return f"{word} {self._declared(words[at + 2], inner, depth + 1)}"
        if kind == _TYPE_TAG:
            return self._declared(words[at + 2], inner, depth + 1)
        if kind == _ARRAY:
            return self._declared(words[at + 3], f"{inner}[{words[at + 5]}]", depth + 1)
        if kind == _PROTO:
            types = [words[part + 1] for part in range(at + 3, at + 3 + owner._parts(at) * 2, 2)]
            shown = ["..." if kind == 0 else self.shown(kind) for kind in types]
            return self._declared(words[at + 2], f"{inner}({', '.join(shown) or 'void'})", depth + 1)
        name = self._name(words[at])
        if kind in _WORDS or kind == _FWD:
            word = _WORDS.get(kind) or ("union" if words[at + 1] >> 31 else "struct")
            return f"{word} {name or '{...}'} {inner}"
        return f"{_INTEGERS.get(name, name)} {inner}"


def _squeezed(text: str) -> str:
    return re.sub(r"\*\s+(?=[*)])", "*", re.sub(r"\s+", " ", text)).strip()
