# SPDX-License-Identifier: MIT
"""QEMU's argument list. Pure: a specification in, a list of words out."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vmlab.catalogue.target import Architecture, Boot
from vmlab.errors import HostError
from vmlab.host.accelerator import Accelerator, qemu_program
from vmlab.host.firmware import UefiFiles
from vmlab.image.image import DISK_ROOT, Image
from vmlab.machine.board import BOARDS, Board

MAC_ADDRESS = "52:54:00:76:6d:6c"
CONSOLE_NAME = "console"
LINE_NAME = "org.vmlab.line"
"""The virtio port that `guest/line.py` speaks over; udev links it in /dev/virtio-ports."""
STRICT_PARAMETERS = ("init_on_alloc=0", "slub_debug=FZPU")
"""Memory comes as it was left (Debian's kernels zero it), and the allocator checks every object: sanity, red zones,
poison, and who allocated it (Documentation/mm/slub.rst)."""
NMI_PANIC = "unknown_nmi_panic"
"""Among a target's parameters where a non-maskable interrupt makes its kernel panic, and tell where it was."""
PAGE_OWNER = "page_owner=on"
"""For kernels built with CONFIG_PAGE_OWNER."""
ICOUNT = ("-icount", "shift=0,sleep=off")
"""An instruction takes 2^0 ns of the guest's time; a guest with nothing to do is at its next timer at once."""
# watchdog_thresh may be 60 at most; a soft lockup is reported after twice that. The kernel's own values are 10 s,
# 21 s, 120 s and 30 s.
_TCG_PATIENCE = (
    "watchdog_thresh=60",
    "rcupdate.rcu_cpu_stall_timeout=180",
    "sysctl.kernel.hung_task_timeout_secs=600",
    "workqueue.watchdog_thresh=180",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectKernel:
    """A kernel that QEMU itself starts."""

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
    """None: its firmware starts what is on its disk, and it may reboot itself."""
    is_icount: bool = False
    """Whether its only clock is the count of the instructions that it ran."""
    uefi: UefiFiles | None = None
    """The firmware when it is UEFI and not the board's own."""

    @property
    def board(self) -> Board:
        return BOARDS[self.architecture]


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """A file that holds a guest's memory; without one it is the process's own."""

    file: Path
    is_shared: bool
    """Whether what the guest writes reaches the file, which a snapshot is made of, or stays private, as in a fork."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraDisk:
    """A raw disk besides a machine's own."""

    file: Path
    serial: str
    """What the guest knows it by: /dev/disk/by-id/virtio-SERIAL."""
    is_read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What ties one machine to this host; its guest sees none of it but the extra disks."""

    disk: Path
    serial: Path
    """What the serial port's two files are called before their endings: what is written to `.in` is typed, what the
    guest prints goes to `.out`."""
    monitor_fd: int
    line_fd: int
    memory: Memory | None = None
    is_incoming: bool = False
    """Wait for a device state instead of powering on."""
    extra: tuple[ExtraDisk, ...] = ()


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
    """The machine that boots an image on an accelerator; `kernel_parameters` are the target's own, `cpu_model` the
    one that was proved, if any was.

    Raises `HostError` when instructions are to be counted with more than one processor, or under KVM: QEMU runs them
    in turns then, and its count is no processor's (docs/devel/tcg-icount.rst).
    """
    board = BOARDS[image.architecture]
    is_strict = boot is Boot.STRICT
    strict = (*STRICT_PARAMETERS, *kernel_parameters) if is_strict else kernel_parameters
    is_icount = boot is Boot.ICOUNT
    if is_icount and (cpus != 1 or accelerator is Accelerator.KVM):
        raise HostError(
            f"instructions are counted on one emulated processor, not on {cpus} under {accelerator}",
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
    """The machine that boots a disk by the boot loader on it; without `uefi` by the board's BIOS."""
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
    """`host` needs KVM, and is all that it gives."""
    return "host" if accelerator is Accelerator.KVM else board.emulated_cpu


def kernel_command_line(
    accelerator: Accelerator, board: Board, parameters: Sequence[str] = (), *, root: str = DISK_ROOT
) -> str:
    """What the kernel is told, and `parameters`; `root` is where its root file system is. Nothing else here changes
    how a module behaves.

    A panic halts rather than reboots, so that its last words stay on the console. All sysrq keys work on the console:
    Debian's default mask (438) forbids those that tell where a hung guest is. Under TCG the detectors of stalls
    wait longer, so that a slow host alone sets none off.
    """
    patience = _TCG_PATIENCE if accelerator is Accelerator.TCG else ()
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
            *patience,
            *parameters,
        )
    )


def qemu_argv(spec: MachineSpec, wiring: Wiring) -> list[str]:
    """The arguments that start a machine from its overlay.

    The serial port is a `pipe`, which takes any two files: that a `file` has an input too came with QEMU 8.2, and not
    every port lets its backend be changed while it runs (arm64's does not). Monitor and line speak on inherited
    sockets: a path of a socket may not be longer than 107 bytes. Port 0 lets QEMU pick the forwarded port, so that no
    two machines race for one. Where the board has one, the generation identifier tells kernels that know it (6.12 and
    newer of Debian's cloud kernels) that they were forked: it is new in each process.
    """
    return [
        *_base(spec, wiring.memory),
        *("-chardev", f"pipe,id={CONSOLE_NAME},path={_escaped(wiring.serial)}"),
        *("-serial", f"chardev:{CONSOLE_NAME}"),
        *("-chardev", f"socket,id=monitor,fd={wiring.monitor_fd}", "-mon", "chardev=monitor,mode=control"),
        *("-drive", f"if=none,id=disk,file={_escaped(wiring.disk)},format=qcow2,cache=unsafe,discard=unmap"),
        *("-device", f"virtio-blk-pci,drive=disk{'' if spec.kernel else ',bootindex=0'}"),
        *("-netdev", "user,id=net,hostfwd=tcp:127.0.0.1:0-:22"),
        *("-device", f"virtio-net-pci,netdev=net,mac={MAC_ADDRESS},romfile="),
        *("-device", "virtio-rng-pci"),
        *spec.board.generation,
        *("-chardev", f"socket,id=line,fd={wiring.line_fd}", "-device", "virtio-serial-pci"),
        *("-device", f"virtserialport,chardev=line,name={LINE_NAME}"),
        *(("-incoming", "defer") if wiring.is_incoming else ()),
        *(word for disk in wiring.extra for word in _extra_disk(disk)),
    ]


def guest_visible_words(spec: MachineSpec) -> list[str]:
    """The argument list less what differs from machine to machine: two with the same words can share a snapshot."""
    nowhere = Path("-")
    kernel = dataclasses.replace(spec.kernel, file=nowhere, initrd=nowhere) if spec.kernel else None
    bare = dataclasses.replace(spec, kernel=kernel)
    memory = Memory(file=nowhere, is_shared=False)
    return qemu_argv(bare, Wiring(disk=nowhere, serial=nowhere, monitor_fd=0, line_fd=0, memory=memory))


def proof_argv(spec: MachineSpec, *, cpu_model: str, console: Path, disk: Path | None = None) -> list[str]:
    """The arguments that only start the kernel, to see whether the accelerator runs it with a CPU model; `disk` is
    where firmware finds one, and what is written to it is thrown away."""
    drive = f"if=none,id=disk,file={_escaped(disk)},format=qcow2,snapshot=on" if disk else ""
    return [
        *_base(dataclasses.replace(spec, cpu_model=cpu_model), None),
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
    """Its code is mapped read-only, its variables are the machine's own (docs/interop/firmware.json of QEMU)."""
    if uefi is None:
        return ()
    return (
        *("-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={_escaped(uefi.code)}"),
        *("-drive", f"if=pflash,unit=1,format=raw,file={_escaped(uefi.variables)}"),
    )


def _extra_disk(disk: ExtraDisk) -> tuple[str, ...]:
    read_only = ",readonly=on" if disk.is_read_only else ""
    return (
        *("-drive", f"if=none,id={disk.serial},file={_escaped(disk.file)},format=raw,cache=unsafe{read_only}"),
        *("-device", f"virtio-blk-pci,drive={disk.serial},serial={disk.serial}"),
    )


def _memory_object(memory: Memory, size_mib: int) -> tuple[str, str]:
    share = "on" if memory.is_shared else "off"
    return (
        "-object",
        f"memory-backend-file,id=ram,size={size_mib}M,mem-path={_escaped(memory.file)},share={share}",
    )


def _escaped(path: Path) -> str:
    """A comma in a QEMU option value is written twice."""
    return str(path).replace(",", ",,")
