# SPDX-License-Identifier: MIT
"""The doctor's grades: facts that stop the lab are bad, facts that slow it are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmlab.catalogue.target import Architecture
from vmlab.errors import HostError
from vmlab.host import facts
from vmlab.host.facts import Fact, Grade, host_facts, is_usable
from vmlab.host.install import REQUIREMENTS


def _topic(found: list[Fact], topic: str) -> Fact:
    return next(fact for fact in found if fact.topic == topic)


def test_a_missing_program_is_bad_and_its_command_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(facts, "missing_requirements", lambda *_, **__: [REQUIREMENTS[0]])
    programs = _topic(host_facts(tmp_path, memory_mib=1024, architectures=[]), "programs")
    assert programs.grade is Grade.BAD
    assert programs.advice.endswith("qemu-system-x86")


def test_memory_for_no_guest_is_bad(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(facts, "available_memory_mib", lambda: 900)
    assert _topic(host_facts(tmp_path, memory_mib=1024, architectures=[]), "memory").grade is Grade.BAD
    assert _topic(host_facts(tmp_path, memory_mib=512, architectures=[]), "memory").grade is Grade.GOOD


def test_memory_is_read_from_the_kernel() -> None:
    assert facts.available_memory_mib() > 0


def test_slow_is_usable_and_bad_is_not() -> None:
    slow = Fact(topic="accelerator", grade=Grade.SLOW, finding="tcg")
    bad = Fact(topic="programs", grade=Grade.BAD, finding="missing")
    assert is_usable([slow])
    assert not is_usable([slow, bad])


def test_a_store_that_is_not_there_yet_is_measured_where_it_will_be(tmp_path: Path) -> None:
    disk = _topic(host_facts(tmp_path / "not" / "yet", memory_mib=256, architectures=[]), "disk")
    assert "GiB free" in disk.finding


@pytest.mark.parametrize("works", [True, False])
def test_a_foreign_architectures_programs_are_slow_or_do_not_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, works: bool
) -> None:
    def require(architecture: Architecture) -> None:
        if not works:
            raise HostError(f"{architecture} programs do not run", hint="vmlab setup")

    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(facts, "require_programs_of", require)
    found = host_facts(tmp_path, memory_mib=256, architectures=list(Architecture))
    assert _topic(found, "arm64 programs").grade is (Grade.SLOW if works else Grade.BAD)
    assert not any(fact.topic == "amd64 programs" for fact in found)


_AMD64 = "processor\t: 0\nmodel name\t: First\n\nprocessor\t: 1\nmodel name\t: Second\n"
_ARM64 = "processor\t: 0\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x3\nCPU part\t: 0xd0c\n"


@pytest.mark.parametrize(
    ("cpuinfo", "name"),
    [(_AMD64, "First"), (_ARM64, "Arm part 0xd0c variant 0x3"), ("", "aarch64")],
)
def test_a_processor_is_named_by_what_the_kernel_tells(
    monkeypatch: pytest.MonkeyPatch, cpuinfo: str, name: str
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: cpuinfo)
    assert facts.processor_model() == name
