# SPDX-License-Identifier: MIT
"""Signed and unsigned modules: without enforcement, with required signatures, and under lockdown."""

from __future__ import annotations

import lzma
import re
from pathlib import Path

import pytest

from vmlab.guest.guest import Guest
from vmlab.klog.taint import names_of

from .finding import Note
from .signer import make_stranger
from .spoiled_ko import with_one_bit_changed
from .typed import Bring, Said, by_root, by_user, with_log
from .workshop import CHECKED, Workshop

_ENFORCE = "/sys/module/module/parameters/sig_enforce"
_LOCKDOWN = "/sys/kernel/security/lockdown"
_OWN = "dummy"
"""A distribution module that every kernel of the lab has and nothing loads by itself: a network interface."""
_REJECTED = "Key was rejected by service"
"""insmod's message for EKEYREJECTED."""
_NOT_PERMITTED = "Operation not permitted"


@pytest.fixture
def unsigned(workshop: Workshop) -> bytes:
    """A module without a signature."""
    return workshop.make(workshop.kernel.name, CHECKED).ko


def _require_file(guest: Guest, path: str, option: str) -> None:
    if not guest.root(f"[ -e {path} ]").ok:
        config = guest.as_root(f"grep -w {option} /boot/config-$(uname -r); true").strip()
        pytest.skip(f"this kernel has no {path}: {config or f'{option} is unknown to it'}")


def _write(guest: Guest, word: str, path: str) -> Said:
    # tee(1) prints why a write was refused, the echo of Debian's sh does not.
    return by_root(guest, f"echo {word} | tee {path} >/dev/null", shown=f"echo {word} | sudo tee {path} >/dev/null")


def _own_modules_load(guest: Guest) -> bool:
    return by_root(guest, f"modprobe {_OWN} && rmmod {_OWN}").status == 0


def test_a_stock_kernel_checks_signatures_and_enforces_nothing(shared_guest: Guest, finding: Note) -> None:
    _require_file(shared_guest, _ENFORCE, "CONFIG_MODULE_SIG")
    said = by_user(
        shared_guest,
        f"grep -E 'MODULE_SIG(_FORCE|_ALL)?[ =]|LOCKDOWN_LSM=|LOCK_DOWN_IN' /boot/config-$(uname -r); "
        f"cat {_ENFORCE} {_LOCKDOWN} /sys/kernel/security/lsm",
    )
    sig_enforce = re.search(r"^[YN]$", said.output, re.MULTILINE)
    lockdown = re.search(r"\[(\w+)\]", said.output)
    assert sig_enforce is not None, said.output
    level = lockdown[1] if lockdown is not None else ""
    is_forced = "CONFIG_MODULE_SIG_FORCE=y" in said.output
    finding("signature.default", **said.shown, sig_force=is_forced, sig_enforce=sig_enforce[0] == "Y", lockdown=level)
    # Debian locks down only a kernel started by UEFI Secure Boot (LOCK_DOWN_IN_EFI_SECURE_BOOT).
    assert (is_forced, sig_enforce[0], level) == (False, "N", "none")


def test_an_unsigned_module_loads_and_taints(guest: Guest, unsigned: bytes, bring: Bring, finding: Note) -> None:
    # A new fork: the kernel logs each of these once per boot.
    _require_file(guest, _ENFORCE, "CONFIG_MODULE_SIG")
    said = with_log(guest, f"insmod {bring(unsigned)}", about="smallest")
    marks = by_user(guest, "cat /proc/sys/kernel/tainted /sys/module/smallest/taint")
    value, letters = marks.output.split()
    finding(
        "signature.taints",
        command=f"{said.command}\n{marks.command}",
        output=said.output + marks.output,
        loads=said.status == 0,
        taint=", ".join(names_of(int(value))),
        letters=letters,
    )
    assert said.status == 0, said.output
    assert (names_of(int(value)), letters) == (["out-of-tree module", "unsigned module"], "OE")
    assert said.log[:2] == (
        "smallest: loading out-of-tree module taints kernel.",
        "smallest: module verification failed: signature and/or required key missing - tainting kernel",
    )


def test_a_key_that_the_kernel_does_not_know_is_no_better_than_none(
    shared_guest: Guest, unsigned: bytes, workshop: Workshop, bring: Bring, finding: Note
) -> None:
    _require_file(shared_guest, _ENFORCE, "CONFIG_MODULE_SIG")
    path = bring(workshop.sign(unsigned, *make_stranger()), "signed.ko")
    said = by_root(
        shared_guest,
        f"insmod {path} && modinfo -F signer {path} && cat /sys/module/smallest/taint && rmmod smallest",
        shown=f"sudo insmod {path}\n/sbin/modinfo -F signer {path}\ncat /sys/module/smallest/taint",
    )
    finding("signature.own-key", **said.shown, loads=said.status == 0)
    assert said.output.split("\n")[:2] == ["somebody", "OE"], said.output


def test_a_signature_that_does_not_fit_is_refused_by_any_kernel(
    shared_guest: Guest, bring: Bring, tmp_path: Path, finding: Note
) -> None:
    # mod_verify_sig(): without enforcement a missing signature and an unknown key are accepted, an invalid one never.
    _require_file(shared_guest, _ENFORCE, "CONFIG_MODULE_SIG")
    own = by_root(shared_guest, f"modinfo -F signer {_OWN}; /sbin/modinfo -n {_OWN}", shown=f"/sbin/modinfo {_OWN}")
    signer, path = own.output.splitlines()
    finding("signature.kernels-own", **own.shown, signer=signer)
    ko = _fetch(shared_guest, path, tmp_path)
    assert ko.endswith(b"~Module signature appended~\n")
    said = with_log(shared_guest, f"insmod {bring(with_one_bit_changed(ko), f'{_OWN}.ko')}", about=_OWN)
    finding("signature.tampered", **said.shown, loads=said.status == 0, errno="EKEYREJECTED")
    assert _REJECTED in said.output, said.output
    whole = by_root(shared_guest, f"insmod {bring(ko, f'{_OWN}.ko')} && rmmod {_OWN}")
    assert whole.status == 0, whole.output


def _fetch(guest: Guest, path: str, to: Path) -> bytes:
    guest.get(path, to / "fetched")
    content = (to / "fetched").read_bytes()
    return lzma.decompress(content) if path.endswith(".xz") else content


def test_a_kernel_that_enforces_takes_nothing_without_a_known_signature(
    guest: Guest, unsigned: bytes, workshop: Workshop, bring: Bring, finding: Note
) -> None:
    _require_file(guest, _ENFORCE, "CONFIG_MODULE_SIG")
    # Same effect as module.sig_enforce=1 on the kernel command line.
    switch = _write(guest, "1", _ENFORCE)
    assert switch.status == 0, switch.output
    bare = with_log(guest, f"insmod {bring(unsigned)}", about="Loading of|smallest")
    strange = with_log(
        guest,
        f"insmod {bring(workshop.sign(unsigned, *make_stranger()), 'signed.ko')}",
        about="Loading of|smallest",
    )
    own = by_root(guest, f"sh -c 'modprobe {_OWN} && grep ^{_OWN} /proc/modules'")
    back = _write(guest, "0", _ENFORCE)
    finding(
        "signature.enforced",
        command="\n".join(one.command for one in (switch, bare, own, back)),
        output="".join(one.output for one in (switch, bare, own, back)),
        loads=bare.status == 0,
        own_loads=own.status == 0,
        errno="EKEYREJECTED",
        can_be_undone=back.status == 0,
    )
    finding("signature.own-key-enforced", **strange.shown, loads=strange.status == 0)
    assert _REJECTED in bare.output, bare.output
    assert bare.log == ("Loading of unsigned module is rejected",)
    assert _REJECTED in strange.output, strange.output
    assert strange.log == ("Loading of module with unavailable key is rejected",)
    assert own.status == 0, own.output
    # bool_enable_only: the switch cannot be turned off again.
    assert "Read-only file system" in back.output, back.output


def test_lockdown_refuses_what_is_unsigned_and_is_not_taken_back(
    guest: Guest, unsigned: bytes, bring: Bring, finding: Note
) -> None:
    _require_file(guest, _LOCKDOWN, "CONFIG_SECURITY_LOCKDOWN_LSM")
    switch = with_log(
        guest,
        f"echo integrity >{_LOCKDOWN}; cat {_LOCKDOWN}",
        about="locked down",
        shown=f"echo integrity | sudo tee {_LOCKDOWN}; cat {_LOCKDOWN}",
    )
    bare = with_log(guest, f"insmod {bring(unsigned)}", about="Lockdown|smallest")
    back = _write(guest, "none", _LOCKDOWN)
    memory = with_log(guest, "sh -c 'head -c 1 /dev/mem >/dev/null'", about="Lockdown")
    steps = (switch, bare, memory, back)
    finding(
        "lockdown.integrity",
        command="\n".join(one.command for one in steps),
        output="".join(one.output for one in steps),
        loads=bare.status == 0,
        errno="EPERM",
        can_be_undone=back.status == 0,
    )
    assert switch.output.splitlines()[0] == "none [integrity] confidentiality"
    assert switch.log == ("Kernel is locked down from securityfs; see man kernel_lockdown.7",)
    assert _NOT_PERMITTED in bare.output, bare.output
    assert bare.log == ("Lockdown: insmod: unsigned module loading is restricted; see man kernel_lockdown.7",)
    assert _own_modules_load(guest)
    assert _NOT_PERMITTED in memory.output, memory.output
    assert _NOT_PERMITTED in back.output, back.output
