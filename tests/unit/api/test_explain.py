# SPDX-License-Identifier: MIT
"""Explanations from a small map: gone, new, other arguments, members, headers, options, and what is unknown."""

from __future__ import annotations

import pytest

from vmlab.api.explain import Cause, Explanation, Question, Topic, explain
from vmlab.api.history import History, arguments, is_other_call, returned, split_parameters


def _said(
    history: History, topic: Topic, name: str, line: str, *, owner: str = "", is_cloud: bool = False
) -> Explanation:
    return explain(Question(topic=topic, name=name, owner=owner, line=line, is_cloud=is_cloud), history)


def test_a_gone_export_names_the_two_neighbours_also_without_headers(history: History) -> None:
    said = _said(history, Topic.FUNCTION, "gone_soon", "7.2")

    assert (said.cause, said.text) == (Cause.API_CHANGED, "`gone_soon()` is there in 6.1 and gone in 6.16")
    assert said.step is not None
    assert (said.step.older.line, said.step.newer.line) == ("6.1", "6.16")


def test_a_gone_inline_function_is_known_only_between_lines_with_headers(history: History) -> None:
    said = _said(history, Topic.FUNCTION, "old_wrapper", "7.2")

    assert said.text == "`old_wrapper()` is there in 6.1 and gone in 7.2; `new_name()` takes its place"


def test_a_line_between_two_neighbours_gets_their_change(history: History) -> None:
    said = _said(history, Topic.FUNCTION, "gone_soon", "6.8")

    assert said.text == "`gone_soon()` is there in 6.1 and gone in 6.16"


def test_an_older_line_is_told_where_a_new_name_is_first_there(history: History) -> None:
    said = _said(history, Topic.IDENTIFIER, "NEW_FLAG", "5.10")

    assert (said.cause, said.text) == (Cause.API_CHANGED, "6.1 lacks `NEW_FLAG`, it is there in 7.2")


def test_a_name_in_no_line_is_said_to_be_unknown(history: History) -> None:
    said = _said(history, Topic.FUNCTION, "never_there", "6.1")

    assert (said.cause, said.text) == (Cause.UNKNOWN, "no kernel line from 5.10 to 7.2 has `never_there()`")


def test_a_declared_function_names_its_header(history: History) -> None:
    said = _said(history, Topic.FUNCTION, "gone_soon", "6.1")

    assert (said.cause, said.text) == (Cause.UNCHANGED, "linux/a.h declares `gone_soon()`")


def test_an_option_that_the_cloud_flavour_lacks_is_named(history: History) -> None:
    said = _said(history, Topic.SYMBOL, "usb_call", "6.1", is_cloud=True)

    assert said.cause is Cause.NOT_CONFIGURED
    assert said.option == "CONFIG_USB_SUPPORT"
    assert said.text == "CONFIG_USB_SUPPORT is off in 6.1 cloud; the generic flavour exports `usb_call()`"


def test_an_unknown_option_is_not_invented(history: History) -> None:
    said = _said(history, Topic.SYMBOL, "usb_call", "7.2", is_cloud=True)

    assert (said.cause, said.option) == (Cause.NOT_CONFIGURED, "")


def test_the_generic_flavour_is_not_told_of_the_cloud_one(history: History) -> None:
    assert _said(history, Topic.SYMBOL, "usb_call", "6.1").cause is Cause.UNCHANGED


def test_an_export_of_a_module_is_unknown_where_no_modules_are(history: History) -> None:
    assert history.exports(history.api.rows("usb_call")) == (True, True, True, None, True)


def test_a_declared_function_that_no_line_exports_is_told_so(history: History) -> None:
    said = _said(history, Topic.SYMBOL, "hidden", "6.1")

    assert said.text == "linux/a.h declares `hidden`, but it is exported to modules in no line from 5.10 to 7.2"


@pytest.mark.parametrize("line", ["6.1", "7.2"])
def test_other_arguments_are_told_on_both_sides(history: History, line: str) -> None:
    said = _said(history, Topic.CALL, "fewer", line)

    assert said.cause is Cause.API_CHANGED
    assert said.text == "`fewer()` takes 2 arguments in 6.1 and 1 in 6.16: `void *(const char *)`"


def test_a_members_other_type_is_told_with_both(history: History) -> None:
    said = _said(history, Topic.MEMBER_TYPE, "remove", "7.2", owner="ops")

    assert said.text == "`remove` of struct ops is `int (*)(void)` in 6.1 and `void (*)(void)` in 6.16"


def test_a_gone_member_names_the_one_that_is_new(history: History) -> None:
    said = _said(history, Topic.MEMBER, "old", "6.16", owner="ops")

    assert said.text == "`old` of struct ops is there in 6.1 and gone in 6.16; `__old` is new there"


def test_a_member_that_only_the_generic_flavour_has_is_an_option(history: History) -> None:
    said = _said(history, Topic.MEMBER, "wireless", "6.1", owner="ops", is_cloud=True)

    assert said.cause is Cause.NOT_CONFIGURED


def test_a_member_of_an_unknown_structure_is_unknown(history: History) -> None:
    assert _said(history, Topic.MEMBER, "x", "6.1", owner="mine").cause is Cause.UNKNOWN


def test_a_moved_header_names_its_new_place(history: History) -> None:
    said = _said(history, Topic.HEADER, "asm/moved.h", "7.2")

    assert said.text == "asm/moved.h is there in 6.1 and gone in 7.2; linux/moved.h is there"


def test_a_misspelt_header_gets_the_nearest_name(history: History) -> None:
    assert _said(history, Topic.HEADER, "linux/moved2.h", "6.1").text == "did you mean linux/moved.h?"


def test_a_name_that_the_kernel_took_later_is_told(history: History) -> None:
    said = _said(history, Topic.REDEFINED, "NEW_FLAG", "7.2")

    assert said.text == "`NEW_FLAG` is new in 7.2; 6.1 lacks it"


def test_a_symbol_that_went_into_a_namespace_is_told(history: History) -> None:
    said = _said(history, Topic.NAMESPACE, "spaced", "6.1", owner="SPACE")

    assert said.text == "`spaced` is in namespace SPACE in 6.1, and in none in 5.10"


def test_a_symbol_that_became_gpl_only_is_told(history: History) -> None:
    said = _said(history, Topic.GPL_ONLY, "freed", "6.1")

    assert said.text == "`freed` is for GPL modules only since 6.1; in 5.10 it is for all"


@pytest.mark.parametrize("topic", Topic)
def test_every_question_about_nothing_has_an_answer(history: History, topic: Topic) -> None:
    for name in ("", "x\ty", "never", "x" * 10_000):
        assert _said(history, topic, name, "3.2", owner="o").cause is not Cause.NOT_CONFIGURED


@pytest.mark.parametrize(
    ("form", "count"),
    [
        ("int (void)", "0"),
        ("~struct urb *(int, gfp_t)", "2"),
        ("void (int (*)(int, int), const char *, ...)", "2+"),
        ("macro 1+", "1+"),
        ("", ""),
    ],
)
def test_the_arguments_of_a_form_are_counted(form: str, count: str) -> None:
    assert arguments(form) == count


def test_types_of_two_sources_are_not_compared() -> None:
    assert not is_other_call("~int (u32)", "int (unsigned int)")
    assert is_other_call("~int (u32)", "int (u32, u32)")
    assert is_other_call("int (u32)", "int (u64)")


def test_parameters_are_split_outside_of_brackets_only() -> None:
    assert split_parameters("int (*)(int, int), void *") == ["int (*)(int, int)", "void *"]
    assert returned("struct x *(int)") == "struct x *"
