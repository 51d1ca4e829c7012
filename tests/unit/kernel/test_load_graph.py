# SPDX-License-Identifier: MIT
"""Function graphs are parsed into trees, and the steps of loading a module are found in a trace."""

from __future__ import annotations

import textwrap

import pytest
from kernel.bench import split_steps
from kernel.bracket import bracket
from kernel.graph import Call, parse_graph, source_name
from kernel.license import LICENSES, License, relicensed
from kernel.load_steps import Seen, chain, look, steps, traced_names

_TRACE = textwrap.dedent("""\
    # tracer: function_graph
    #
    # TASK/PID         FUNCTION CALLS
    # |    |           |   |   |   |
       sh-400   |  /* file */
       insmod-401  |  __x64_sys_finit_module() {
       insmod-401  |    load_module() {
       insmod-401  |      move_module.isra.0() {
     kworker-77    |  do_free_init() {
       insmod-401  |        module_alloc();
     kworker-77    |    module_memfree();
       insmod-401  |      }
     ------------------------------------------
     kworker-77    |  }
       insmod-401  |      do_one_initcall() {
       insmod-401  |        hello_init [hello]() {
       insmod-401  |          printk();
       insmod-401  |        } /* hello_init [hello] */
       insmod-401  |      }
       insmod-401  |    } /* load_module */
       insmod-401  |  }
     odd name-9    |  /* buffer */
       loader-402  |  __x64_sys_init_module() {
       loader-402  |    load_module();
       loader-402  |  }
    """)


def test_a_trace_becomes_trees_by_what_was_written_before() -> None:
    found = parse_graph(_TRACE)
    assert [call.name for call in found["file"]] == ["__x64_sys_finit_module", "do_free_init"]
    assert [call.name for call in found["buffer"]] == ["__x64_sys_init_module"]
    load = found["file"][0]
    assert load.chain_to("hello_init") == ("__x64_sys_finit_module", "load_module", "do_one_initcall", "hello_init")
    assert load.chain_to("do_free_init") == ()
    assert str(load.calls[0].calls[0]) == "move_module() {\n  module_alloc();\n}"
    assert "hello_init() [hello] {" in str(load)


def test_what_comes_several_times_in_a_row_is_told_once() -> None:
    call = Call("f", calls=[Call("g"), Call("h", calls=[Call("i")]), Call("h", calls=[Call("i")]), Call("g")])
    assert str(call) == "f() {\n  g();\n  h() {  /* 2 times */\n    i();\n  }\n  g();\n}"


def test_a_call_that_was_open_when_tracing_began_ends_no_other() -> None:
    found = parse_graph("  a-1  |  }\n  a-1  |  f();\n")
    assert [call.name for call in found[""]] == ["f"]


@pytest.mark.parametrize(
    ("symbol", "name"),
    [("move_module", "move_module"), ("move_module.isra.0", "move_module"), ("a.constprop.0.cold", "a")],
)
def test_a_compilers_suffix_is_no_part_of_a_name(symbol: str, name: str) -> None:
    assert source_name(symbol) == name


def test_the_chain_differs_between_6_1_and_6_12() -> None:
    assert chain("6.1.0-56-cloud-amd64") == ("load_module",)
    assert chain("6.12.1") == ("idempotent_init_module", "init_module_from_file", "load_module")


def test_every_step_has_a_caller_among_the_functions_traced() -> None:
    names = traced_names()
    assert len(steps()) > 20
    assert all(step.within in names for step in steps())


def _seen(load: Call, name: str, *, has: set[str], traceable: set[str], release: str = "6.1") -> str:
    return next(str(s) for s in look(load, release, has=has, traceable=traceable) if s.function.function == name)


def test_a_step_is_called_or_inlined_or_not_to_be_seen() -> None:
    load = Call("load_module", calls=[Call("module_alloc"), Call("apply_relocate_add")])
    both = {"module_alloc", "apply_relocate_add"}
    assert _seen(load, "module_alloc", has=both, traceable=both) == "module_alloc: called by load_module"
    assert (
        _seen(load, "move_module", has=both, traceable=both)
        == "move_module: inlined; shown by module_alloc, called by load_module"
    )
    assert _seen(load, "strndup_user", has=both, traceable=both).endswith(Seen.UNSEEN)
    assert _seen(load, "move_module", has={"move_module"}, traceable=set()).endswith(Seen.HIDDEN)
    assert _seen(load, "parse_args", has=both, traceable={"parse_args"}).endswith(Seen.NOT_CALLED)
    assert _seen(load, "module_alloc", has=both, traceable=both, release="6.12").endswith(Seen.ABSENT)


def test_what_shows_an_inlined_function_is_called_by_the_one_it_went_into() -> None:
    load = Call("load_module", calls=[Call("execmem_alloc_rw", calls=[Call("execmem_alloc")])])
    has = {"execmem_alloc", "execmem_alloc_rw"}
    said = _seen(load, "move_module", has=has, traceable=has, release="7.3.4")
    assert said == "move_module: inlined; shown by execmem_alloc_rw, called by load_module"


def test_what_commands_printed_is_split_by_the_nonce() -> None:
    found = split_steps("one\n\nab 0\n\nab 3\n", {"a": "echo one", "b": "exit 3"}, "ab")
    assert [(step.output, step.status) for step in found.values()] == [("one", 0), ("", 3)]
    assert found["a"].transcript == "# echo one\none"
    with pytest.raises(ValueError, match="1 of 2 commands ended"):
        split_steps("one\n\nab 0\n", {"a": "x", "b": "y"}, "ab")


@pytest.mark.parametrize("license", LICENSES, ids=lambda license: license.slug)
def test_a_license_is_put_in_the_place_of_another(license: License) -> None:
    old = b"\0license=GPL and additional rights\0name=x\0"
    new = relicensed(old, license)
    assert len(new) == len(old)
    assert [part for part in new.split(b"\0") if part] == [f"license={license.text}".encode(), b"name=x"]


def test_a_module_that_says_nothing_of_a_license_is_refused() -> None:
    with pytest.raises(ValueError, match="0 times"):
        relicensed(b"name=x\0", LICENSES[0])


def _row(release: str, answer: bool) -> dict[str, object]:
    return {"target": f"t-{release}", "findings": [{"key": "k", "facts": {"release": release, "is_direct": answer}}]}


def test_a_change_is_bracketed_by_the_two_kernels_next_to_it() -> None:
    found = bracket(
        [_row("6.12.1", False), _row("5.10.2", True), _row("6.1.0", True), _row("7.3", False)], "k", "is_direct"
    )
    assert found is not None
    assert (found.before, found.after, found.before_answer) == ("6.1.0", "6.12.1", True)
    assert bracket([_row("6.1", True)], "k", "is_direct") is None


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([], "no finding 'k'"),
        ([_row("5.10", True), _row("6.1", False), _row("6.12", True)], "changed 2 times"),
    ],
)
def test_what_cannot_be_bracketed_is_told(rows: list[dict[str, object]], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        bracket(rows, "k", "is_direct")
