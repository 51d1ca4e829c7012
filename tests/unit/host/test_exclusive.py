# SPDX-License-Identifier: MIT
"""Timing tests get exclusive use of the machine, and do not wait for later runs."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from vmlab.errors import HostError
from vmlab.host.exclusive import alone, beside_others


def test_many_may_be_beside_others_and_none_beside_who_is_alone(tmp_path: Path) -> None:
    others = (beside_others(parent=tmp_path), beside_others(parent=tmp_path))
    refused = pytest.raises(HostError, match="waiting for other tests that use guests to end")
    with others[0], others[1], refused, alone(parent=tmp_path, timeout_s=0.1):
        pass
    with alone(parent=tmp_path):
        for kind in (alone, beside_others):
            with pytest.raises(HostError), kind(parent=tmp_path, timeout_s=0.1):
                pass
    with beside_others(parent=tmp_path, timeout_s=0):
        pass


def test_a_newcomer_lets_who_waits_to_be_alone_go_first(tmp_path: Path) -> None:
    order: list[str] = []
    is_waiting = threading.Event()

    def time_it() -> None:
        with alone(parent=tmp_path, on_wait=is_waiting.set):
            order.append("alone")
            time.sleep(0.1)

    def come_later() -> None:
        with beside_others(parent=tmp_path, on_wait=lambda: order.append("waits")):
            order.append("beside")

    first, second = threading.Thread(target=time_it), threading.Thread(target=come_later)
    with beside_others(parent=tmp_path):
        first.start()
        assert is_waiting.wait(5)
        second.start()
        while not order:
            time.sleep(0.01)
    first.join(5)
    second.join(5)
    assert order == ["waits", "alone", "beside"]
