# SPDX-License-Identifier: MIT
"""The reason for a refused module: the kernel's message, otherwise insmod's."""

from __future__ import annotations

import pytest

from vmlab.reason.load import load_reason

_INSMOD = "insmod: ERROR: could not insert module /build/fib/fib.ko: Invalid parameters\n"
_TAINTS = ("fib: loading out-of-tree module taints kernel.", "fib: module verification failed: tainting kernel")
_LOGS = {
    "an unknown symbol": (["fib: Unknown symbol foo (err -2)"], "Unknown symbol foo (err -2)"),
    "several unknown symbols": (
        ["fib: Unknown symbol a (err -2)", "fib: Unknown symbol b (err -2)", "fib: Unknown symbol c (err -2)"],
        "Unknown symbol a (err -2) (and 2 more)",
    ),
    "a symbol of another version": (
        ["fib: disagrees about version of symbol _printk", "fib: Unknown symbol _printk (err -22)"],
        "disagrees about version of symbol _printk",
    ),
    "a module layout of another version": (
        ["fib: disagrees about version of symbol module_layout"],
        "disagrees about version of symbol module_layout",
    ),
    "a symbol without version": (
        ["fib: no symbol version for foo", "fib: Unknown symbol foo (err -22)"],
        "no symbol version for foo",
    ),
    "a symbol that it gets without a version": (
        ["fib: no symbol version for foo", "fib: Unknown symbol bar (err -2)"],
        "Unknown symbol bar (err -2)",
    ),
    "a namespace that is not imported": (
        [
            "fib: module uses symbol (dma_buf_get) from namespace DMA_BUF, but does not import it.",
            "fib: Unknown symbol dma_buf_get (err -22)",
        ],
        "module uses symbol (dma_buf_get) from namespace DMA_BUF, but does not import it.",
    ),
    "a proprietary module's symbol": (
        [
            "fib: module using GPL-only symbols uses symbols x from proprietary module closed.",
            "fib: Unknown symbol x (err -2)",
        ],
        "module using GPL-only symbols uses symbols x from proprietary module closed.",
    ),
    "a module that never gets ready": (
        ["fib: gave up waiting for init of module gate.", "fib: Unknown symbol gate (err -16)"],
        "gave up waiting for init of module gate.",
    ),
    "another version magic": (
        ["fib: version magic '6.1.0 SMP ' should be '6.1.1 SMP '"],
        "version magic '6.1.0 SMP ' should be '6.1.1 SMP '",
    ),
    "BTF that does not fit": (["failed to validate module [fib] BTF: -22"], "failed to validate module [fib] BTF: -22"),
    "no signature": (["Loading of unsigned module is rejected"], "Loading of unsigned module is rejected"),
    "lockdown": (
        ["Lockdown: insmod: unsigned module loading is restricted; see man kernel_lockdown.7"],
        "Lockdown: insmod: unsigned module loading is restricted; see man kernel_lockdown.7",
    ),
    "a parameter's value": (["fib: `abc' invalid for parameter `n'"], "`abc' invalid for parameter `n'"),
    "a parameter's large value": (["fib: `9' too large for parameter `n'"], "`9' too large for parameter `n'"),
    "a parameter with too many values": (["fib: can only take 2 arguments"], "can only take 2 arguments"),
    "a symbol that somebody exports already": (
        ["fib: exports duplicate symbol kstrtouint (owned by kernel)"],
        "exports duplicate symbol kstrtouint (owned by kernel)",
    ),
    "another struct module": (
        ["module fib: .gnu.linkonce.this_module section size must match the kernel's built struct module size"],
        ".gnu.linkonce.this_module section size must match the kernel's built struct module size",
    ),
    "a relocation out of range": (
        ["overflow in relocation type 10 val ffffc0", "`fib' likely not compiled with -mcmodel=kernel"],
        "overflow in relocation type 10 val ffffc0",
    ),
    "a relocation of another architecture": (
        ["module fib: unsupported RELA relocation: 311"],
        "unsupported RELA relocation: 311",
    ),
    "a live patch without support": (
        ["fib: module is marked as livepatch module, but livepatch support is disabled"],
        "module is marked as livepatch module, but livepatch support is disabled",
    ),
    "a live patch of what is not there": (
        ["livepatch: symbol 'nope' not found in symbol table"],
        "livepatch: symbol 'nope' not found in symbol table",
    ),
    "no memory for its variables": (
        ["fib: Could not allocate 65536 bytes percpu data"],
        "Could not allocate 65536 bytes percpu data",
    ),
}  # fmt: skip


def _reason(kernel: list[str], *, warnings: list[str] | None = None, stderr: str = _INSMOD) -> str:
    return load_reason(
        "fib", kernel=[*_TAINTS, *kernel], warnings=[*_TAINTS, *(warnings or ())], stderr=stderr, stdout=""
    )


@pytest.mark.parametrize(("log", "reason"), _LOGS.values(), ids=_LOGS.keys())
def test_the_kernels_own_words_are_the_reason(log: list[str], reason: str) -> None:
    assert _reason(log) == reason


@pytest.mark.parametrize("log", [[], ["fib: unknown parameter 'p' ignored"], ["fib: loaded"], ["eth0: link is up"]])
def test_where_the_kernel_says_nothing_insmods_words_are_kept(log: list[str]) -> None:
    assert _reason(log) == _INSMOD.strip()


def test_a_module_that_says_why_it_gives_up_is_heard() -> None:
    reason = _reason(["fib: no such clock"], warnings=["fib: no such clock"])

    assert reason == f"{_INSMOD.strip()}; it logged 'no such clock'"


def test_the_modules_own_line_comes_before_another_modules() -> None:
    log = ["other: Unknown symbol x (err -2)", "fib: Unknown symbol y (err -2)"]

    assert _reason(log).startswith("Unknown symbol y (err -2)")


def test_nothing_is_made_up_where_nobody_says_anything() -> None:
    assert _reason([], stderr="") == ""


def test_a_hostile_log_makes_one_line() -> None:
    assert _reason(["fib: Unknown symbol \x1b[31mfoo\x1b[0m\u202e (err -2)"]) == "Unknown symbol foo (err -2)"
