# SPDX-License-Identifier: MIT
"""Putting a module into a guest's kernel and taking it out again."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator, Mapping

from vmlab.errors import GuestError, KernelTrouble
from vmlab.guest.guest import Guest
from vmlab.guest.kernel_log import last_sequence, read_log
from vmlab.guest.splat import describe, find_splats
from vmlab.module.build import Built

_DIRECTORY = "/tmp"


def insert(guest: Guest, built: Built, parameters: Mapping[str, object] | None = None) -> None:
    """Copy the module in and `insmod` it.

    Raises `GuestError` with what the kernel said when it refuses, and `KernelTrouble` when it reports trouble
    meanwhile; the guest is then not to be trusted.
    """
    before = last_sequence(read_log(guest))
    path = f"{_DIRECTORY}/{built.ko.name}"
    guest.put(built.ko, path)
    words = [f"{key}={value}" for key, value in (parameters or {}).items()]
    done = guest.run(f"sudo insmod {shlex.join([path, *words])}", timeout_s=guest.limits.load_s)
    records = read_log(guest, after=before)
    splats = find_splats(records)
    if splats:
        raise KernelTrouble(f"kernel: {splats[0].title}", detail=describe(splats))
    if not done.ok:
        said = "\n".join(map(str, records))
        answer = (done.stderr or done.stdout).strip().splitlines()
        reason = answer[-1] if answer else f"insmod ended with status {done.status}"
        raise GuestError(f"{built.info.name} does not load: {reason}", detail=f"the kernel said:\n{said}")


def remove(guest: Guest, name: str) -> None:
    """`rmmod` a module; `GuestError` when it stays."""
    done = guest.run(f"sudo rmmod {shlex.quote(name)}", timeout_s=guest.limits.load_s)
    if not done.ok:
        raise GuestError(f"{name} does not unload: {done.stderr.strip() or f'status {done.status}'}")


def is_loaded(guest: Guest, name: str) -> bool:
    """Whether the kernel has the module, by /proc/modules."""
    return guest.run(f"grep -q '^{name} ' /proc/modules").ok


@contextlib.contextmanager
def loaded(guest: Guest, built: Built, parameters: Mapping[str, object] | None = None) -> Iterator[Built]:
    """The module in the kernel for the length of a `with` block; one that a test has removed already is fine."""
    if is_loaded(guest, built.info.name):
        remove(guest, built.info.name)
    insert(guest, built, parameters)
    try:
        yield built
    finally:
        if is_loaded(guest, built.info.name):
            remove(guest, built.info.name)
