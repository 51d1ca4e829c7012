# SPDX-License-Identifier: MIT
"""A guest in which the stopwatch's program returns the counts that a test sets."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field

from vmlab.guest.transport import Completed


@dataclass
class FakeProgram:
    """Counts the actual instructions times a factor for user space and one for the kernel."""

    user: float = 1.0
    kernel: float = 1.0
    overhead: int = 50
    status: int = 0
    said: str = "[    0.4] Performance Events: AMD PMU driver.\n"
    stderr: str = ""
    stdout: str | None = None
    commands: list[list[str]] = field(default_factory=list)

    def root(self, command: str, *, timeout_s: float | None = None) -> Completed:
        if command.startswith("dmesg"):
            return Completed(command=command, status=0, stdout=self.said, stderr="", duration_s=0.0)
        words = shlex.split(command)
        self.commands.append(words)
        stdout = self._count(words) if self.stdout is None else self.stdout
        return Completed(command=command, status=self.status, stdout=stdout, stderr=self.stderr, duration_s=0.0)

    def _count(self, words: list[str]) -> str:
        counter, batches, iterations = (words[words.index(flag) + 1] for flag in ("-c", "-b", "-i"))
        operation = words[words.index("-w") + 2 :]
        user, kernel = self._instructions(operation)
        cost = 0.0
        if not counter.endswith(":k"):
            cost += user * self.user
        if not counter.endswith(":u"):
            cost += kernel * self.kernel
        total = round(cost * int(iterations)) + self.overhead
        lines = [
            "fact cpu 1",
            "fact cpuid_a eax=8300805 ebx=0 ecx=f edx=8604",
            *(f"null {self.overhead + place}" for place in range(3)),
            "fact steal_ticks 2",
        ]
        for _ in range(int(batches)):
            lines.append(f"sample {total} 1")
            if "-p" in words:
                lines.append("part 100 20 3")
        return "\n".join([*lines, "end"]) + "\n"

    @staticmethod
    def _instructions(operation: list[str]) -> tuple[int, int]:
        if operation[0] == "loop":
            return 2 * int(operation[1]), 0
        return 10, 300
