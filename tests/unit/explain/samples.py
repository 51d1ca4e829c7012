# SPDX-License-Identifier: MIT
"""Small kernels, experiments and questions for building test pages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from builder.claim import Claim
from builder.kernels import Experiment, Finding, Kernel, Outcome, Value
from builder.question import Question, Shown, Statement, Text

TEST = "tests/kernel/test_load.py::test_call"
KEY = "load.call"
RELEASES = {
    "debian11-5.10": "5.10.0-46-cloud-amd64",
    "debian12-6.1": "6.1.0-56-cloud-amd64",
    "debian13-6.12": "6.12.118+deb13-cloud-amd64",
    "debian13-7.3": "7.3.4+deb13-cloud-amd64",
}


def finding(*, output: str = "finit_module(3)\n", command: str = "strace insmod", **facts: Value) -> Finding:
    return Finding(key=KEY, command=command, output=output, facts=facts)


def kernel(
    target: str, *findings: Finding, outcome: Outcome = Outcome.PASSED, reason: str = "", test: str = TEST
) -> Kernel:
    row = Experiment(test=test, outcome=outcome, reason=reason, findings=findings)
    return Kernel(
        target=target,
        release=RELEASES[target],
        package=f"linux-image-{RELEASES[target]}",
        compiler="gcc-12 12.2.0",
        machine="QEMU 7.2, tcg",
        experiments=(row,),
    )


def kernels(values: Mapping[str, str]) -> tuple[Kernel, ...]:
    """One kernel per target, with one fact `call` that its output also shows."""
    return tuple(kernel(target, finding(call=call, output=f"{call}(3) = 0\n")) for target, call in values.items())


def statement(number: int = 1, **keys: object) -> Statement:
    return Statement(en=f"Sentence {number} with `code.c` in it.", zh=f"第 {number} 句話。", **keys)  # type: ignore[arg-type]


def question(*answer: Statement, remark: tuple[Statement, ...] = ()) -> Question:
    """A question on the one experiment; sentences beyond the given ones state that it calls finit_module."""
    claim = Claim(finding=KEY, fact="call", equals="finit_module")
    rest = tuple(statement(number, shown_by=(claim,)) for number in range(len(answer), 3))
    return Question(
        id="load",
        asked=Text(en="What does `insmod` call?", zh="`insmod` 呼叫了什麼？"),
        answer=(*answer, *rest),
        experiment=(Shown(finding=KEY, test=TEST, en="The call", zh="系統呼叫", remark=remark),),
    )


QUESTION_FILE = """
id = "load"
asked = { en = "What does `insmod` call?", zh = "`insmod` 呼叫了什麼？" }

[[answer]]
en = "It calls `finit_module`."
zh = "它呼叫 `finit_module`。"
shown_by = [{ finding = "load.call", fact = "call", equals = "finit_module" }]

[[answer]]
en = "So it does."
zh = "確實如此。"
shown_by = [{ finding = "load.call", shows = "finit_module" }]

[[answer]]
en = "The rest is in `main.c`."
zh = "其餘的在 `main.c` 裡。"
told_by = [{ file = "kernel/module/main.c", symbol = "load_module" }]

[[experiment]]
finding = "load.call"
test = "tests/kernel/test_load.py::test_call"
en = "The call"
zh = "系統呼叫"
"""


def write_question(directory: Path, text: str = QUESTION_FILE) -> Path:
    path = directory / "load.toml"
    path.write_text(text, encoding="utf-8")
    return path
