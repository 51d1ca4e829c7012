# SPDX-License-Identifier: MIT
"""Equal faults have one fingerprint, different faults do not."""

from __future__ import annotations

from vmlab.report.model import Outcome, TestResult
from vmlab.report.terminal import fault_key


def _fault(reason: str) -> TestResult:
    return TestResult(test="t", target="debian12-6.1", outcome=Outcome.FAILED, duration_s=0, reason=reason)


def test_a_warning_is_the_same_on_another_processor_and_in_another_process() -> None:
    one = _fault("kernel: WARNING: CPU: 0 PID: 338 at /build/m/m.c:222 init+0x1f/0x40 [m]")
    two = _fault("kernel: WARNING: CPU: 1 PID: 402 at /build/m/m.c:222 init+0x1f/0x40 [m]")
    assert fault_key(one) == fault_key(two)


def test_another_line_or_another_number_is_another_fault() -> None:
    assert fault_key(_fault("WARNING: m.c:222")) != fault_key(_fault("WARNING: m.c:223"))
    assert fault_key(_fault("F(95) is 1, not 2")) != fault_key(_fault("F(96) is 1, not 2"))
