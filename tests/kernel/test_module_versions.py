# SPDX-License-Identifier: MIT
"""A module for another kernel: vermagic, the CRCs of CONFIG_MODVERSIONS, and forced loading."""

from __future__ import annotations

import re

import pytest

from vmlab.guest.guest import Guest
from vmlab.klog.taint import names_of

from .finding import Note
from .spoiled_ko import vermagic_of, versions_of, with_other_crc, with_vermagic
from .typed import Bring, Said, by_user, with_log
from .workshop import CHECKED, Workshop

_BAD_FORMAT = "Invalid module format"
"""insmod's message for ENOEXEC."""
_BAD_PARAMETERS = "Invalid parameters"
"""insmod's message for EINVAL, the result when a symbol has another version."""
_TAINT = "forced module"


@pytest.fixture
def ko(workshop: Workshop) -> bytes:
    """A module that matches the kernel."""
    return workshop.make(workshop.kernel.name, CHECKED).ko


def _one_release_before(vermagic: str) -> str:
    """`6.1.0-55-cloud-amd64 SMP …` for `6.1.0-56-cloud-amd64 SMP …`."""
    return re.sub(r"^(\d+\.\d+\.(?:0-)?)(\d+)", lambda match: f"{match[1]}{int(match[2]) - 1}", vermagic)


def _printk(ko: bytes) -> str:
    """Symbol that printk() uses: a macro around _printk() since v5.15."""
    return next(version.symbol for version in versions_of(ko) if version.symbol in ("printk", "_printk"))


def _require_versions(ko: bytes) -> None:
    if not versions_of(ko):
        pytest.skip("this kernel's modules carry no versions: CONFIG_MODVERSIONS is not set")


def _gone(guest: Guest) -> None:
    guest.as_root("if [ -e /sys/module/smallest ]; then rmmod smallest; fi")


def test_a_module_built_for_another_kind_of_kernel_is_refused(
    shared_guest: Guest, ko: bytes, bring: Bring, finding: Note
) -> None:
    fit = vermagic_of(ko)
    other = fit.replace(" SMP ", " ")
    assert other != fit
    said = with_log(shared_guest, f"insmod {bring(with_vermagic(ko, other))}", about="smallest")
    finding("vermagic.mismatch", **said.shown, loads=said.status == 0, vermagic=other, kernels=fit)
    assert _BAD_FORMAT in said.output, said.output
    assert said.log == (f"smallest: version magic '{other}' should be '{fit}'",)


def test_another_release_is_no_mismatch_where_symbols_have_versions(
    shared_guest: Guest, ko: bytes, bring: Bring, finding: Note
) -> None:
    # same_magic(): with CRCs the first word is skipped.
    fit, has_versions = vermagic_of(ko), bool(versions_of(ko))
    other = _one_release_before(fit)
    assert other != fit
    said = with_log(shared_guest, f"insmod {bring(with_vermagic(ko, other))}", about="smallest: [vl]")
    _gone(shared_guest)
    config = by_user(shared_guest, "grep -w CONFIG_MODVERSIONS /boot/config-$(uname -r)")
    finding(
        "vermagic.release",
        command=f"{config.command}\n{said.command}",
        output=config.output + said.output,
        loads=said.status == 0,
        modversions=has_versions,
        vermagic=other,
        kernels=fit,
    )
    assert config.output.startswith("CONFIG_MODVERSIONS=y") is has_versions
    assert ("modversions" in fit.split()) is has_versions
    assert (said.status == 0) is has_versions, said.output
    if not has_versions:
        assert _BAD_FORMAT in said.output
        assert said.log == (f"smallest: version magic '{other}' should be '{fit}'",)


@pytest.mark.parametrize("which", ["module_layout", "printk"])
def test_a_symbol_of_another_version_is_refused(
    shared_guest: Guest, ko: bytes, bring: Bring, finding: Note, which: str
) -> None:
    _require_versions(ko)
    symbol = _printk(ko) if which == "printk" else which
    said = with_log(shared_guest, f"insmod {bring(with_other_crc(ko, symbol))}", about="smallest")
    key = "crc.mismatch" if which == "printk" else "crc.module-layout"
    finding(key, **said.shown, loads=said.status == 0, symbol=symbol)
    # check_modstruct_version() comes first and ends with ENOEXEC, any other symbol with EINVAL.
    assert (_BAD_PARAMETERS if which == "printk" else _BAD_FORMAT) in said.output, said.output
    assert said.log[0] == f"smallest: disagrees about version of symbol {symbol}"


@pytest.mark.expect_taint(_TAINT)
def test_what_does_not_fit_can_be_forced_in_and_taints(guest: Guest, ko: bytes, bring: Bring, finding: Note) -> None:
    other = with_vermagic(ko, _one_release_before(vermagic_of(ko)).replace(" SMP ", " "))
    said = _forced(guest, "--force-vermagic", bring(other))
    finding("vermagic.forced", **said.shown, loads=said.status == 0, taint=_TAINT)
    # try_to_force_load() logs only the first forced load, whatever its cause.
    assert "smallest: bad vermagic: kernel tainted." in said.log, said.output
    if versions_of(ko):
        said = _forced(guest, "--force-modversion", bring(with_other_crc(ko, "module_layout")))
        finding("crc.forced", **said.shown, loads=said.status == 0, taint=_TAINT)


def _forced(guest: Guest, option: str, path: str) -> Said:
    """Force-load a mismatched module and inspect the kernel; the module's taint letters show whether it was the
    cause."""
    # A separate module tree: depmod of all the kernel's modules is slow under emulation.
    tree = "/tmp/tree; rm -rf $t; m=$t/lib/modules/$(uname -r)"
    install = f"t={tree}; mkdir -p $m $t/usr; ln -s ../lib $t/usr/lib; cp {path} $m/; depmod -b $t $(uname -r)"
    load = f"modprobe {option} smallest"
    said = with_log(
        guest,
        f"{{ {install}; }} >/dev/null 2>&1; modprobe -d $t {option} smallest",
        about="smallest",
        shown=f"sudo cp smallest.ko /lib/modules/$(uname -r)/ && sudo depmod && sudo {load}",
    )
    marks = by_user(guest, "cat /proc/sys/kernel/tainted /sys/module/smallest/taint")
    assert said.status == 0, said.output
    assert [_TAINT in names_of(int(marks.output.split()[0])), marks.output.split()[1]] == [True, "FOE"], said.output
    _gone(guest)
    return Said(
        command=f"{said.command}\n{marks.command}",
        status=said.status,
        output=said.output + marks.output,
        log=said.log,
    )
