# SPDX-License-Identifier: MIT
"""QEMU's argument list. Pure: takes a specification, returns a list of strings."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vmlab.catalogue.target import Architecture, Boot
from vmlab.errors import HostError
from vmlab.host.accelerator import Accelerator, qemu_program
from vmlab.host.firmware import UefiFiles
from vmlab.host.handover import Names
from vmlab.image.image import DISK_ROOT, Image
from vmlab.machine.board import BOARDS, Board

MAC_ADDRESS = "52:54:00:76:6d:6c"
CONSOLE_NAME = "console"
LINE_NAME = "org.vmlab.line"
"""Virtio port that `guest/root_shell.py` uses; udev links it in /dev/virtio-ports."""
STRICT_PARAMETERS = ("init_on_alloc=0", "slub_debug=FZPU")
"""Kernel parameters of a strict boot. Memory is not zeroed on allocation, unlike in Debian's kernels. SLUB checks every
object: sanity, red zones, poison, and user tracking (Documentation/mm/slub.rst)."""
NMI_PANIC = "unknown_nmi_panic"
"""Kernel parameter of targets on which an NMI makes the kernel panic and print its call trace."""
PAGE_OWNER = "page_owner=on"
"""Kernel parameter for kernels built with CONFIG_PAGE_OWNER."""
_OPEN_AT_ONCE = "auto-read-only=off"
# A drive is else opened read-only until a device uses it, which an inherited descriptor does not allow.
ICOUNT = ("-icount", "shift=0,sleep=off")
"""QEMU arguments: an instruction takes 2^0 ns of guest time; an idle guest skips to its next timer at once."""
# The maximum of watchdog_thresh is 60; a soft lockup is reported after twice that. The kernel's defaults are 10 s,
# 21 s, 120 s and 30 s.
_TCG_PATIENCE = (
    "watchdog_thresh=60",
    "rcupdate.rcu_cpu_stall_timeout=180",
    "sysctl.kernel.hung_task_timeout_secs=600",
    "workqueue.watchdog_thresh=180",
)
_FIXED_ADDRESSES = "norandmaps"
"""Kernel parameter: every process has its libraries, stack and heap at the same addresses. With random ones QEMU 7.2
translates the code of a program anew at each start: 10,000 blocks for `cat` over SSH, in place of 100 (`info jit`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectKernel:
    """A kernel that QEMU starts directly."""

    file: Path
    initrd: Path
    command_line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSpec:
    """Everything about a machine that its guest can see."""

    accelerator: Accelerator
    architecture: Architecture
    cpu_model: str
    cpus: int
    memory_mib: int
    kernel: DirectKernel | None
    """Kernel that QEMU starts; None if the firmware boots the disk, in which case the guest may reboot itself."""
    is_icount: bool = False
    """True if the instruction count is the machine's only clock."""
    uefi: UefiFiles | None = None
    """UEFI firmware; None for the board's default firmware."""

    @property
    def board(self) -> Board:
        return BOARDS[self.architecture]


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """A file that holds a guest's memory; without one the memory is anonymous."""

    file: Path
    is_shared: bool
    """True if guest writes reach the file, to make a snapshot; False if they stay private, as in a fork."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraDisk:
    """A raw disk in addition to a machine's overlay."""

    file: Path
    serial: str
    """Serial number, seen in the guest as /dev/disk/by-id/virtio-SERIAL."""
    is_read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """Host side of a machine: files and sockets. Only the extra disks are visible to the guest."""

    layers: tuple[Path, ...]
    """The machine's overlay, then the disks below it, each with its backing disk next. QEMU follows this chain, not the
    one that the files' headers name."""
    serial: Path
    """Common path of the serial port's two files, without suffix: `.in` is the guest's input, `.out` leads nowhere."""
    console: Path
    """File that the guest's output is appended to."""
    monitor_fd: int
    line_fd: int
    memory: Memory | None = None
    is_incoming: bool = False
    """True to wait for a device state instead of powering on."""
    extra: tuple[ExtraDisk, ...] = ()
    has_network: bool = False
    """True if the guest reaches the host's loopback interface and what the host reaches; False if only SSH enters."""
    declared: tuple[str, ...] = ()
    """Arguments that declare the names of inherited files (`Handover.words`)."""


def machine_spec(
    image: Image,
    accelerator: Accelerator,
    *,
    cpus: int,
    memory_mib: int,
    cpu_model: str = "",
    kernel_parameters: Sequence[str] = (),
    boot: Boot = Boot.STOCK,
) -> MachineSpec:
    """Specify the machine that boots an image on an accelerator; `kernel_parameters` are the target's, `cpu_model` is
    the one that was proved, if any.

    Raises `HostError` for icount under KVM or with several processors: QEMU runs those in turns, so the count belongs
    to none of them (docs/devel/tcg-icount.rst).
    """
    board = BOARDS[image.architecture]
    is_strict = boot is Boot.STRICT
    strict = (*STRICT_PARAMETERS, *kernel_parameters) if is_strict else kernel_parameters
    is_icount = boot is Boot.ICOUNT
    if is_icount and (cpus != 1 or accelerator is Accelerator.KVM):
        raise HostError(
            f"icount timing must run on 1 processor under tcg, got {cpus} under {accelerator}",
            hint="use --vmlab-cpus 1, or another --vmlab-timing than icount",
        )
    return MachineSpec(
        accelerator=accelerator,
        architecture=image.architecture,
        is_icount=is_icount,
        cpu_model=(cpu_model or default_cpu_model(accelerator, board)) + (board.strict_cpu if is_strict else ""),
        cpus=cpus,
        memory_mib=memory_mib,
        kernel=DirectKernel(
            file=image.kernel,
            initrd=image.initrd,
            command_line=kernel_command_line(accelerator, board, strict, root=image.root),
        ),
    )


def firmware_spec(
    architecture: Architecture,
    accelerator: Accelerator,
    *,
    cpus: int,
    memory_mib: int,
    uefi: UefiFiles | None,
    cpu_model: str = "",
) -> MachineSpec:
    """Specify the machine that boots a disk by its boot loader; without `uefi`, the board's BIOS starts it."""
    return MachineSpec(
        accelerator=accelerator,
        architecture=architecture,
        cpu_model=cpu_model or default_cpu_model(accelerator, BOARDS[architecture]),
        cpus=cpus,
        memory_mib=memory_mib,
        kernel=None,
        uefi=uefi,
    )


def default_cpu_model(accelerator: Accelerator, board: Board) -> str:
    """CPU model without a proof: `host` under KVM, which `host` requires; else the board's emulated model."""
    return "host" if accelerator is Accelerator.KVM else board.emulated_cpu


def kernel_command_line(
    accelerator: Accelerator, board: Board, parameters: Sequence[str] = (), *, root: str = DISK_ROOT
) -> str:
    """Kernel command line with `parameters`; `root` holds the arguments that select the root file system.

    Only `parameters` affect how a module behaves. A panic halts the guest, so that its output stays on the console.
    All sysrq keys are enabled: Debian's default mask (438) disables those that show where a guest hangs. The log holds
    some 10,000 messages, eight times Debian's, and takes 5 MiB of memory. The console gets all messages, whatever the
    log level (Ubuntu's hides warnings), because it replaces an overwritten log. Under TCG the stall detectors get
    longer timeouts, so that a slow host does not trigger them, and the addresses of programs are not random.
    """
    emulated = (*_TCG_PATIENCE, _FIXED_ADDRESSES) if accelerator is Accelerator.TCG else ()
    return " ".join(
        (
            root,
            "rw",
            f"console={board.console}",
            "panic=0",
            "net.ifnames=0",
            "fsck.mode=skip",
            "systemd.show_status=0",
            "sysrq_always_enabled",
            "ignore_loglevel",
            "log_buf_len=1M",
            *emulated,
            *parameters,
        )
    )


def qemu_argv(spec: MachineSpec, wiring: Wiring) -> list[str]:
    """QEMU arguments that start a machine from its overlay.

    The serial port is a `pipe`, because a `file` backend has an input only since QEMU 8.2, and some serial ports
    (arm64's) cannot change their backend at run time. Its log is the console: unlike the pipe's files, a log may be an
    inherited descriptor. Monitor and line use inherited sockets, because a socket path is limited to 107 bytes. Port 0
    lets QEMU pick the forwarded port, so that machines do not race for one; `restrict` does not affect it
    (qemu-options.hx). A resumed guest does not announce its address to a network that QEMU resumes too: its network
    manager would take that for a change. The line's device has no event indexes, as a precaution: with them one lost
    notification would block the line until the next. The generation identifier, if the board has it, differs in each
    process and tells a kernel that it was forked. Debian's cloud kernels 6.12 and newer support it.
    """
    return [
        *_base(spec, wiring.memory),
        *wiring.declared,
        *("-chardev", f"pipe,id={CONSOLE_NAME},path={_escaped(wiring.serial)},{_log(wiring.console)}"),
        *("-serial", f"chardev:{CONSOLE_NAME}"),
        *("-chardev", f"socket,id=monitor,fd={wiring.monitor_fd}", "-mon", "chardev=monitor,mode=control"),
        *("-blockdev", json.dumps(_chain(wiring.layers))),
        *("-device", f"virtio-blk-pci,drive=disk{'' if spec.kernel else ',bootindex=0'}"),
        *("-netdev", f"user,id=net,restrict={'off' if wiring.has_network else 'on'},hostfwd=tcp:127.0.0.1:0-:22"),
        *("-device", f"virtio-net-pci,netdev=net,mac={MAC_ADDRESS},romfile=,guest_announce=off"),
        *("-device", "virtio-rng-pci"),
        *spec.board.generation,
        *("-chardev", f"socket,id=line,fd={wiring.line_fd}", "-device", "virtio-serial-pci,event_idx=off"),
        *("-device", f"virtserialport,chardev=line,name={LINE_NAME}"),
        *(("-incoming", "defer") if wiring.is_incoming else ()),
        *(word for disk in wiring.extra for word in _extra_disk(disk)),
    ]


def guest_visible_words(spec: MachineSpec) -> list[str]:
    """Argument list without host paths and descriptors: two machines with the same list can share a snapshot.

    It is that of a restricted machine. A fork may have a network: its card and the addresses are the same.
    """
    nowhere = Path("-")
    kernel = dataclasses.replace(spec.kernel, file=nowhere, initrd=nowhere) if spec.kernel else None
    bare = dataclasses.replace(spec, kernel=kernel)
    memory = Memory(file=nowhere, is_shared=False)
    return qemu_argv(
        bare,
        Wiring(layers=(nowhere,), serial=nowhere, console=nowhere, monitor_fd=0, line_fd=0, memory=memory),
    )


def with_names(spec: MachineSpec, names: Names) -> MachineSpec:
    """Return a specification whose files have the names by which QEMU opens them."""
    kernel, uefi = spec.kernel, spec.uefi
    if kernel is not None:
        file, initrd = names.readable(kernel.file), names.readable(kernel.initrd)
        kernel = dataclasses.replace(kernel, file=file, initrd=initrd)
    if uefi is not None:
        uefi = UefiFiles(code=names.drive(uefi.code), variables=names.drive(uefi.variables, is_writable=True))
    return dataclasses.replace(spec, kernel=kernel, uefi=uefi)


def proof_argv(
    spec: MachineSpec, *, cpu_model: str, console: Path, names: Names, disk: Path | None = None
) -> list[str]:
    """QEMU arguments that only start the kernel, to prove the accelerator with a CPU model. `names` opens the files.
    `disk` holds the kernel of a machine that boots by firmware; writes to it are discarded."""
    named = with_names(dataclasses.replace(spec, cpu_model=cpu_model), names)
    drive = f"if=none,id=disk,file={_escaped(names.drive(disk))},format=qcow2,snapshot=on" if disk else ""
    return [
        *_base(named, None),
        *names.words(),
        *(("-drive", drive, "-device", "virtio-blk-pci,drive=disk,bootindex=0") if drive else ()),
        *("-serial", f"file:{console}"),
    ]


def _base(spec: MachineSpec, memory: Memory | None) -> list[str]:
    threads = "single" if spec.is_icount else "multi"
    accelerator = "kvm" if spec.accelerator is Accelerator.KVM else f"tcg,thread={threads},tb-size=256"
    backend = ",memory-backend=ram" if memory else ""
    return [
        qemu_program(spec.architecture),
        *("-nodefaults", "-no-user-config", *(("-no-reboot",) if spec.kernel else ()), "-display", "none"),
        *("-machine", f"{spec.board.machine}{backend}", "-accel", accelerator),
        *(ICOUNT if spec.is_icount else ()),
        *("-cpu", spec.cpu_model, "-smp", str(spec.cpus), "-m", f"{spec.memory_mib}M"),
        *(_memory_object(memory, spec.memory_mib) if memory else ()),
        *(_direct(spec.kernel) if spec.kernel else _firmware(spec.uefi)),
    ]


def _direct(kernel: DirectKernel) -> tuple[str, ...]:
    return ("-kernel", str(kernel.file), "-initrd", str(kernel.initrd), "-append", kernel.command_line)


def _firmware(uefi: UefiFiles | None) -> tuple[str, ...]:
    """UEFI flash drives: read-only code, and the machine's variables (docs/interop/firmware.json of QEMU)."""
    if uefi is None:
        return ()
    return (
        *("-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={_escaped(uefi.code)}"),
        *("-drive", f"if=pflash,unit=1,format=raw,{_OPEN_AT_ONCE},file={_escaped(uefi.variables)}"),
    )


def _extra_disk(disk: ExtraDisk) -> tuple[str, ...]:
    access = "readonly=on" if disk.is_read_only else _OPEN_AT_ONCE
    return (
        *("-drive", f"if=none,id={disk.serial},file={_escaped(disk.file)},format=raw,cache=unsafe,{access}"),
        *("-device", f"virtio-blk-pci,drive={disk.serial},serial={disk.serial}"),
    )


def _chain(layers: Sequence[Path]) -> dict[str, object]:
    """Return the node of a disk and those below it (qapi/block-core.json), for -blockdev. Only the first is written."""
    backing: dict[str, object] | None = None
    for path in reversed(layers[1:]):
        file = {"driver": "file", "filename": str(path), "read-only": True}
        backing = {"driver": "qcow2", "read-only": True, "file": file, "backing": backing}
    return {
        "node-name": "disk",
        "driver": "qcow2",
        # What the guest flushes need not survive this host (cache=unsafe of -drive).
        "cache": {"no-flush": True},
        "discard": "unmap",
        "file": {"driver": "file", "filename": str(layers[0])},
        "backing": backing,
    }


def _log(console: Path) -> str:
    return f"logfile={_escaped(console)},logappend=on"


def _memory_object(memory: Memory, size_mib: int) -> tuple[str, str]:
    share = "on" if memory.is_shared else "off"
    return (
        "-object",
        f"memory-backend-file,id=ram,size={size_mib}M,mem-path={_escaped(memory.file)},share={share}",
    )


def _escaped(path: Path) -> str:
    """Escape a path for a QEMU option value: commas are doubled."""
    return str(path).replace(",", ",,")
