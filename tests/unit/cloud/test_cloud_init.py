# SPDX-License-Identifier: MIT
"""Output of cloud-init, in the formats of versions 20.4 to 25.1."""

from __future__ import annotations

import json
from typing import Any

import pytest

from vmlab.cloud.cloud_init import LOOK, Look, read_look, read_verdict

_BOOT = "0f4c2a70-1111-4222-8333-444455556666"
_STATUS = {"v1": {"stage": "modules-final", "datasource": None, "init": {"errors": [], "start": 1.0, "finished": 2.0}}}
_RESULT = {"v1": {"datasource": "DataSourceNoCloud [seed=/dev/vdb]", "errors": []}}
# argparse's message in 20.4.
_UNKNOWN_OPTION = """\
usage: /usr/bin/cloud-init [-h] [--version] [--file FILES] [--debug] [--force]
/usr/bin/cloud-init: error: unrecognized arguments: --format json
"""


def _answer(result: object = None, status: object = None) -> str:
    parts = [_BOOT, *("" if part is None else json.dumps(part, indent=1) for part in (result, status))]
    return "\n--- vmlab ---\n".join(parts)


def _look(*errors: str) -> Look:
    return Look(boot_id=_BOOT, is_finished=True, stage="", errors=errors)


def test_a_look_before_the_last_stage_ended_tells_the_stage() -> None:
    look = read_look(_answer(status=_STATUS))
    assert look == Look(boot_id=_BOOT, is_finished=False, stage="modules-final", errors=())


def test_a_look_after_it_tells_its_errors() -> None:
    result = {"v1": {"datasource": "x", "errors": ["('ssh', ValueError())"]}}
    look = read_look(_answer(result, {"v1": {"stage": None}}))
    assert look.is_finished
    assert look.stage == ""
    assert look.errors == ("('ssh', ValueError())",)


@pytest.mark.parametrize(
    "text", ["", _BOOT, f'{_BOOT}\n--- vmlab ---\n{{"v1": {{"data', _answer({}, {}), _answer([], 3)]
)
def test_files_that_are_half_written_or_not_there_tell_nothing_yet(text: str) -> None:
    look = read_look(text)
    assert not look.is_finished
    assert look.errors == ()


def test_the_look_asks_for_no_interpreter() -> None:
    assert "cloud-init " not in LOOK
    assert "python" not in LOOK


def test_an_option_that_an_old_version_does_not_know_leaves_the_word_to_the_result_file() -> None:
    assert read_verdict(2, _UNKNOWN_OPTION, _look()).is_well
    assert read_verdict(2, _UNKNOWN_OPTION, _look("('users-groups', KeyError())")).errors


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (0, {"status": "done", "errors": [], "detail": "DataSourceNoCloud"}),
        (0, {"_schema_version": "1", "status": "done", "errors": [], "schemas": {"1": {"status": "done"}}}),
        (2, {"status": "done", "extended_status": "degraded done", "errors": [], "recoverable_errors": {}}),
    ],
)
def test_done_is_well(status: int, told: dict[str, Any]) -> None:
    verdict = read_verdict(status, json.dumps(told), _look())
    assert verdict.is_well
    assert verdict.warnings == ()


def test_recoverable_errors_are_warnings() -> None:
    told = {"status": "done", "extended_status": "degraded done", "errors": []} | {
        "recoverable_errors": {"DEPRECATED": ["the key is old", "another"], "WARNING": ["slow"]}
    }
    verdict = read_verdict(2, f"....\n{json.dumps(told)}", _look())
    assert verdict.is_well
    assert verdict.warnings == ("DEPRECATED: the key is old", "DEPRECATED: another", "WARNING: slow")


def test_errors_are_told_as_they_came() -> None:
    told = {"status": "error", "errors": ["('package_update', ProcessExecutionError())"], "detail": "x"}
    assert read_verdict(1, json.dumps(told), _look()).errors == ("('package_update', ProcessExecutionError())",)


@pytest.mark.parametrize("word", ["error", "disabled", "not run", "not started"])
def test_any_other_word_than_done_is_an_error_though_none_is_listed(word: str) -> None:
    """A failed systemd unit has no entry in cloud-init's list of errors."""
    verdict = read_verdict(1, json.dumps({"status": word, "errors": [], "detail": "DataSourceNoCloud"}), _look())
    assert verdict.errors == (f"status {word!r}: DataSourceNoCloud",)
