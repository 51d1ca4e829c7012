# SPDX-License-Identifier: MIT
"""Known problems of nested hosts lead to a step of the CPU ladder, and are reported with their source."""

from __future__ import annotations

import re

import pytest

from unit.host.fake_qemu import BANNER, LADDER, Host
from vmlab.catalogue.target import Architecture
from vmlab.errors import HostError
from vmlab.host.accelerator import Accelerator, Verdict, ladder_words, without_proof
from vmlab.host.nested import (
    GITHUB_ARM64,
    GITHUB_X64,
    REFUSED_REGISTERS,
    KnownHost,
    known_host,
    known_words,
    without_refused,
)
from vmlab.settings import AcceleratorChoice


def _refuses(register: str) -> str:
    return f"echo 'qemu-system-x86_64: error: failed to set MSR {register} to 0x69' >&2; kill -ABRT $$"


@pytest.mark.parametrize(
    ("model", "register", "without"),
    [
        ("host", "0x10a", "host,arch-capabilities=off"),
        ("host", "0x480", "host,vmx=off"),
        ("host", "0x48f", "host,vmx=off"),
        ("host", "0x491", "host,vmx=off"),
        ("host", "0x492", ""),
        ("host", "0x345", "host,pmu=off"),
        ("host", "0x38d", "host,pmu=off"),
        ("host", "0xe1", ""),
        ("host,pmu=off", "0x10a", "host,arch-capabilities=off,pmu=off"),
        ("host,pmu=off", "0x38d", ""),
        ("Nehalem", "0x10a", ""),
    ],
)
def test_a_register_that_is_refused_costs_its_feature_alone(model: str, register: str, without: str) -> None:
    assert without_refused(model, f"qemu: error: failed to set MSR {register} to 0x0") == without


def test_words_without_a_register_help_nothing() -> None:
    assert without_refused("host", "qemu: could not access KVM kernel module") == ""


def test_the_order_in_which_features_are_refused_makes_no_other_model() -> None:
    one = without_refused(without_refused("host", "failed to set MSR 0x10a"), "failed to set MSR 0x48f")
    other = without_refused(without_refused("host", "failed to set MSR 0x48f"), "failed to set MSR 0x10a")
    assert one == other == "host,arch-capabilities=off,vmx=off"


def test_every_fact_has_a_source() -> None:
    assert all("#" in row.source for row in REFUSED_REGISTERS)
    assert all("#" in host.source for host in (GITHUB_X64, GITHUB_ARM64))


def test_a_hosted_runner_that_refuses_a_register_keeps_its_other_features(host: Host) -> None:
    host.script = f"""case "$3" in
host) {_refuses("0x10a")} ;;
host,arch-capabilities=off) {BANNER} ;;
esac"""
    verdict = host.choose(ladder=LADDER)
    assert (verdict.accelerator, verdict.cpu_model) == (Accelerator.KVM, "host,arch-capabilities=off")
    assert host.models == ["host", "host,arch-capabilities=off"]
    assert len(verdict.steps) == 1


def test_two_registers_are_refused_one_after_the_other(host: Host) -> None:
    host.script = f"""case "$3" in
host) {_refuses("0x48e")} ;;
host,vmx=off) {_refuses("0x38d")} ;;
host,pmu=off,vmx=off) {BANNER} ;;
esac"""
    verdict = host.choose(ladder=LADDER)
    assert verdict.cpu_model == "host,pmu=off,vmx=off"
    assert ladder_words(verdict).startswith("kvm, -cpu host,pmu=off,vmx=off, step 3 of the ladder: proved with ")


def test_a_host_that_refuses_everything_is_left_after_few_steps(host: Host) -> None:
    host.script = f"""case "$3" in
host*vmx=off*) {_refuses("0x38d")} ;;
*) {_refuses("0x48e")} ;;
esac"""
    verdict = host.choose(ladder=LADDER)
    assert verdict.accelerator is Accelerator.TCG
    assert host.models == ["host", "host,vmx=off", "host,pmu=off,vmx=off", "host,pmu=off", "Nehalem"]


@pytest.mark.parametrize(
    ("environment", "known"),
    [
        ({"RUNNER_ENVIRONMENT": "github-hosted", "RUNNER_ARCH": "X64"}, GITHUB_X64),
        ({"RUNNER_ENVIRONMENT": "github-hosted", "RUNNER_ARCH": "ARM64"}, GITHUB_ARM64),
        ({"RUNNER_ENVIRONMENT": "self-hosted", "RUNNER_ARCH": "X64"}, None),
        ({"RUNNER_ARCH": "X64"}, None),
        ({}, None),
    ],
)
def test_a_hosted_runner_is_known_by_its_environment(environment: dict[str, str], known: object) -> None:
    assert known_host(environment) is known


@pytest.mark.parametrize("host", [GITHUB_X64, GITHUB_ARM64])
def test_what_was_seen_of_a_provider_is_told_as_seen_then_and_not_as_so_today(host: KnownHost) -> None:
    assert host.fact.startswith("had ")
    assert re.search(r" in \w+ 20\d\d", host.fact)


def test_what_is_known_is_told_and_of_an_unknown_host_nothing() -> None:
    words = known_words({"RUNNER_ENVIRONMENT": "github-hosted", "RUNNER_ARCH": "ARM64"})
    assert words == f"; others report: a GitHub-hosted arm64 runner {GITHUB_ARM64.fact}"
    assert known_words({}) == ""


def test_the_header_names_the_step_and_the_reason() -> None:
    proved = Verdict(accelerator=Accelerator.KVM, cpu_model="host", reason="proved")
    assert ladder_words(proved) == "kvm, -cpu host, the ladder's first step: proved"
    emulated = Verdict(accelerator=Accelerator.TCG, reason="there is no /dev/kvm")
    assert ladder_words(emulated) == "tcg, emulation: there is no /dev/kvm"


def test_emulation_that_was_asked_for_is_no_fallback(host: Host) -> None:
    gone = host.directory / "none"
    asked = without_proof(AcceleratorChoice.TCG, Architecture.AMD64, device=gone)
    assert asked is not None
    assert not asked.is_fallback
    fallen = without_proof(AcceleratorChoice.AUTO, Architecture.AMD64, device=gone)
    assert fallen is not None
    assert fallen.is_fallback
    with pytest.raises(HostError, match="KVM was requested but does not work"):
        without_proof(AcceleratorChoice.KVM, Architecture.AMD64, device=gone)
