# SPDX-License-Identifier: MIT
"""Variables and functions of make, expanded without running a command."""

from __future__ import annotations

import pytest

from vmlab.module.tree.expansion import UNKNOWN, Scope, Variable

_FILES = frozenset({"/build/fib/a.c", "/build/fib/b.c", "/build/fib/deep/c.c"})


def _scope(**variables: str) -> Scope:
    return Scope("/build/fib", _FILES, variables={name: Variable(text, False, "") for name, text in variables.items()})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$(NAME).o", "fib.o"),
        ("${NAME}.o $N", "fib.o x"),
        ("$$NAME", "$NAME"),
        ("$(WORDS:.c=.o)", "a.o b.o"),
        ("$(WORDS:%.c=obj/%.o)", "obj/a.o obj/b.o"),
        ("$(patsubst %.c,%.o,$(WORDS) d.S)", "a.o b.o d.S"),
        ("$(patsubst %.c,%.o,$(wildcard *.c))", "a.o b.o"),
        ("$(addprefix src/,$(notdir $(WORDS)))", "src/a.c src/b.c"),
        ("$(filter-out b.c,$(WORDS))", "a.c"),
        ("$(subst a,e,$(WORDS))", "e.c b.c"),
        ("$(shell pwd)/src", "/build/fib/src"),
        ("$(PWD) $(CURDIR)", "/build/fib /build/fib"),
        ("$(NONE)x", "x"),
        ("a $ b", "a b"),
    ],
)
def test_text_is_expanded_as_make_does(text: str, value: str) -> None:
    assert _scope(NAME="fib", N="x", WORDS="a.c b.c").expand(text) == value


@pytest.mark.parametrize(
    "text", ["$(shell uname -r)", "$(call thing,a)", "$(foreach x,a,$(x))", "$(open", "$(strip $(shell date))"]
)
def test_what_a_command_would_tell_is_unknown(text: str) -> None:
    assert UNKNOWN in _scope().expand(text)


def test_a_text_that_doubles_forty_times_costs_no_memory() -> None:
    names = [f"V{number}" for number in range(40)]
    doubled = {name: f"$({above})$({above})" for name, above in zip(names[1:], names, strict=False)}

    value = _scope(V0="x" * 100, **doubled).expand("$(V39)")

    assert UNKNOWN in value
    assert len(value) < 1 << 20


def test_a_variable_that_names_itself_ends() -> None:
    assert UNKNOWN in _scope(A="$(B)", B="$(A)").expand("$(A)")
