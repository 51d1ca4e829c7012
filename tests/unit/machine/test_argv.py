# SPDX-License-Identifier: MIT
"""QEMU's exact argument list."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from unit.fakes import image
from vmlab.catalogue.target import Architecture, Boot
from vmlab.errors import HostError
from vmlab.host.accelerator import Accelerator
from vmlab.host.firmware import UefiFiles
from vmlab.host.handover import Names
from vmlab.machine.argv import (
    ExtraDisk,
    MachineSpec,
    Memory,
    Wiring,
    firmware_spec,
    guest_visible_words,
    machine_spec,
    proof_argv,
    qemu_argv,
)

_COMMAND_LINE = (
    "root=/dev/vda rw console=ttyS0 panic=0 net.ifnames=0 fsck.mode=skip systemd.show_status=0 sysrq_always_enabled"
    " ignore_loglevel log_buf_len=1M"
)
_PATIENCE = (
    " watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=180 sysctl.kernel.hung_task_timeout_secs=600"
    " workqueue.watchdog_thresh=180 norandmaps"
)


def _spec(accelerator: Accelerator) -> MachineSpec:
    return machine_spec(image(Path("/store/image")), accelerator, cpus=2, memory_mib=1024)


def _base(accelerator: str, cpu: str) -> list[str]:
    # fmt: off
    return [
        "qemu-system-x86_64",
        "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
        "-machine", "q35,usb=off,vmport=off,graphics=off", "-accel", accelerator,
        "-cpu", cpu, "-smp", "2", "-m", "1024M",
        "-kernel", "/store/image/kernel", "-initrd", "/store/image/initrd",
        "-append", _COMMAND_LINE + (_PATIENCE if cpu != "host" else ""),
    ]
    # fmt: on


_FLAGS = {
    Accelerator.KVM: ("kvm", "host"),
    Accelerator.TCG: ("tcg,thread=multi,tb-size=256", "max,la57=off,svm=off"),
}


def _wiring(*, memory: Memory | None = None, is_incoming: bool = False) -> Wiring:
    return Wiring(
        layers=(Path("/run/disk.qcow2"), Path("/store/snapshot"), Path("/store/disk")),
        serial=Path("/run/serial"),
        console=Path("/report/console.log"),
        monitor_fd=7,
        line_fd=8,
        memory=memory,
        is_incoming=is_incoming,
    )


_DISK = (
    '{"node-name": "disk", "driver": "qcow2", "cache": {"no-flush": true}, "discard": "unmap", '
    '"file": {"driver": "file", "filename": "/run/disk.qcow2"}, '
    '"backing": {"driver": "qcow2", "read-only": true, '
    '"file": {"driver": "file", "filename": "/store/snapshot", "read-only": true}, '
    '"backing": {"driver": "qcow2", "read-only": true, '
    '"file": {"driver": "file", "filename": "/store/disk", "read-only": true}, "backing": null}}}'
)
# fmt: off
_DEVICES = [
    "-chardev", "pipe,id=console,path=/run/serial,logfile=/report/console.log,logappend=on",
    "-serial", "chardev:console",
    "-chardev", "socket,id=monitor,fd=7", "-mon", "chardev=monitor,mode=control",
    "-blockdev", _DISK,
    "-device", "virtio-blk-pci,drive=disk",
    "-netdev", "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:0-:22",
    "-device", "virtio-net-pci,netdev=net,mac=52:54:00:76:6d:6c,romfile=,guest_announce=off",
    "-device", "virtio-rng-pci",
    "-device", "vmgenid,guid=auto",
    "-chardev", "socket,id=line,fd=8", "-device", "virtio-serial-pci,event_idx=off",
    "-device", "virtserialport,chardev=line,name=org.vmlab.line",
]
# fmt: on


_ARM64_COMMAND_LINE = _COMMAND_LINE.replace("ttyS0", "ttyAMA0")
_VMGENID = _DEVICES.index("vmgenid,guid=auto")
# fmt: off
_ARM64 = [
    "qemu-system-aarch64",
    "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
    "-machine", "virt,gic-version=max", "-accel", "{accelerator}",
    "-cpu", "{cpu}", "-smp", "2", "-m", "1024M",
    "-kernel", "/store/image/kernel", "-initrd", "/store/image/initrd",
    "-append", _ARM64_COMMAND_LINE,
    *_DEVICES[:_VMGENID - 1], *_DEVICES[_VMGENID + 1:],
]
# fmt: on


@pytest.mark.parametrize(
    ("accelerator", "words", "cpu", "patience"),
    [
        (Accelerator.KVM, "kvm", "host", ""),
        (Accelerator.TCG, "tcg,thread=multi,tb-size=256", "max,pauth-impdef=on", _PATIENCE),
    ],
)
def test_the_whole_list_for_arm64(accelerator: Accelerator, words: str, cpu: str, patience: str) -> None:
    made = image(Path("/store/image"), architecture=Architecture.ARM64)
    argv = qemu_argv(machine_spec(made, accelerator, cpus=2, memory_mib=1024), _wiring())
    expected = {"{accelerator}": words, "{cpu}": cpu, _ARM64_COMMAND_LINE: _ARM64_COMMAND_LINE + patience}
    assert argv == [expected.get(word, word) for word in _ARM64]


@pytest.mark.parametrize("accelerator", list(Accelerator))
def test_the_whole_list(accelerator: Accelerator) -> None:
    assert qemu_argv(_spec(accelerator), _wiring()) == [*_base(*_FLAGS[accelerator]), *_DEVICES]


def test_a_strict_boot_has_a_stricter_allocator_and_processor_and_keeps_the_targets_own_parameters() -> None:
    spec = machine_spec(
        image(Path("/store/image")),
        Accelerator.TCG,
        cpus=2,
        memory_mib=1024,
        kernel_parameters=("page_owner=on", "unknown_nmi_panic"),
        boot=Boot.STRICT,
    )
    assert spec.kernel is not None
    assert spec.kernel.command_line.endswith(" init_on_alloc=0 slub_debug=FZPU page_owner=on unknown_nmi_panic")
    assert spec.cpu_model == "max,la57=off,svm=off,smep=on,smap=on,umip=on"
    assert guest_visible_words(spec) != guest_visible_words(_spec(Accelerator.TCG))


def test_instructions_are_counted_on_one_processor_that_tcg_emulates_alone() -> None:
    place = image(Path("/store/image"))
    spec = machine_spec(place, Accelerator.TCG, cpus=1, memory_mib=1024, boot=Boot.ICOUNT)
    argv = qemu_argv(spec, _wiring())
    assert argv[argv.index("-icount") + 1] == "shift=0,sleep=off"
    assert argv[argv.index("-accel") + 1] == "tcg,thread=single,tb-size=256"
    assert guest_visible_words(spec) != guest_visible_words(
        machine_spec(place, Accelerator.TCG, cpus=1, memory_mib=1024)
    )
    for accelerator, cpus in ((Accelerator.TCG, 2), (Accelerator.KVM, 1)):
        with pytest.raises(HostError, match=rf"got {cpus} under {accelerator} .use --vmlab-cpus 1"):
            machine_spec(place, accelerator, cpus=cpus, memory_mib=1024, boot=Boot.ICOUNT)


@pytest.mark.parametrize(("is_shared", "share"), [(True, "on"), (False, "off")])
def test_memory_in_a_file_is_shared_by_a_snapshots_maker_and_private_in_a_fork(is_shared: bool, share: str) -> None:
    memory = Memory(file=Path("/store/ram"), is_shared=is_shared)
    argv = qemu_argv(_spec(Accelerator.TCG), _wiring(memory=memory, is_incoming=not is_shared))
    place = argv.index("-object")
    assert argv[place + 1] == f"memory-backend-file,id=ram,size=1024M,mem-path=/store/ram,share={share}"
    assert argv[argv.index("-machine") + 1].endswith(",memory-backend=ram")
    assert (argv[-2:] == ["-incoming", "defer"]) is not is_shared
    assert argv[place + 2 : place + 4] == ["-kernel", "/store/image/kernel"]


def test_what_a_guest_sees_does_not_depend_on_where_things_lie() -> None:
    here = guest_visible_words(_spec(Accelerator.TCG))
    there = guest_visible_words(machine_spec(image(Path("/elsewhere")), Accelerator.TCG, cpus=2, memory_mib=1024))
    assert here == there
    assert not any("/store" in word for word in here)


def test_a_network_changes_one_word_and_no_snapshots_key() -> None:
    spec = _spec(Accelerator.TCG)
    restricted, networked = qemu_argv(spec, _wiring()), qemu_argv(spec, replace(_wiring(), has_network=True))
    assert [words for words in zip(restricted, networked, strict=True) if words[0] != words[1]] == [
        ("user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:0-:22", "user,id=net,restrict=off,hostfwd=tcp:127.0.0.1:0-:22")
    ]
    assert restricted[restricted.index("-netdev") + 1] in guest_visible_words(spec)


@pytest.mark.parametrize(
    ("accelerator", "cpus", "memory_mib"),
    [(Accelerator.KVM, 2, 1024), (Accelerator.TCG, 1, 1024), (Accelerator.TCG, 2, 512)],
)
def test_any_change_of_what_a_guest_sees_shows(accelerator: Accelerator, cpus: int, memory_mib: int) -> None:
    other = machine_spec(image(Path("/store/image")), accelerator, cpus=cpus, memory_mib=memory_mib)
    assert guest_visible_words(other) != guest_visible_words(_spec(Accelerator.TCG))


def test_the_proof_starts_the_same_machine_without_disk_and_network() -> None:
    argv = proof_argv(_spec(Accelerator.KVM), cpu_model="host", console=Path("/run/console"), names=Names())
    assert argv == [*_base("kvm", "host"), "-serial", "file:/run/console"]


def test_the_proof_differs_from_model_to_model_in_the_model_alone() -> None:
    spec, console = _spec(Accelerator.KVM), Path("/run/console")
    plain = proof_argv(spec, cpu_model="Nehalem", console=console, names=Names())
    assert plain[plain.index("-cpu") + 1] == "Nehalem"
    assert [word for word in plain if word != "Nehalem"] == [
        word for word in proof_argv(spec, cpu_model="host", console=console, names=Names()) if word != "host"
    ]


@pytest.mark.parametrize("model", ["host,pmu=off", "Nehalem"])
def test_a_proved_model_is_the_machines_and_strictness_comes_on_top(model: str) -> None:
    def spec(boot: Boot) -> MachineSpec:
        where = image(Path("/store/image"))
        return machine_spec(where, Accelerator.KVM, cpus=2, memory_mib=1024, cpu_model=model, boot=boot)

    assert spec(Boot.STOCK).cpu_model == model
    assert spec(Boot.STRICT).cpu_model == f"{model},smep=on,smap=on,umip=on"
    assert guest_visible_words(spec(Boot.STOCK)) != guest_visible_words(_spec(Accelerator.KVM))


def test_a_comma_in_a_path_does_not_end_the_option() -> None:
    wiring = Wiring(
        layers=(Path("/a,b/disk"),),
        serial=Path("/a,b/serial"),
        console=Path("/a,b/console"),
        monitor_fd=3,
        line_fd=4,
        memory=Memory(file=Path("/a,b/ram"), is_shared=False),
    )
    argv = qemu_argv(_spec(Accelerator.TCG), wiring)
    assert "pipe,id=console,path=/a,,b/serial,logfile=/a,,b/console,logappend=on" in argv
    assert any('"filename": "/a,b/disk"' in word for word in argv)  # JSON needs no escape
    assert any("mem-path=/a,,b/ram," in word for word in argv)


def _by_firmware(uefi: UefiFiles | None, *, architecture: Architecture = Architecture.AMD64) -> MachineSpec:
    return firmware_spec(architecture, Accelerator.TCG, cpus=2, memory_mib=2048, uefi=uefi)


def test_a_disk_starts_by_the_boards_bios_and_its_guest_may_reboot() -> None:
    argv = qemu_argv(_by_firmware(None), _wiring())
    assert not {"-kernel", "-initrd", "-append", "-no-reboot"} & set(argv)
    assert not any("pflash" in word for word in argv)
    assert "virtio-blk-pci,drive=disk,bootindex=0" in argv


@pytest.mark.parametrize("architecture", list(Architecture))
def test_uefi_has_code_that_is_read_only_and_variables_of_its_own(architecture: Architecture) -> None:
    uefi = UefiFiles(code=Path("/fw/CODE,4M.fd"), variables=Path("/run/vars.fd"))
    argv = qemu_argv(_by_firmware(uefi, architecture=architecture), _wiring())
    assert "if=pflash,unit=0,format=raw,readonly=on,file=/fw/CODE,,4M.fd" in argv
    assert "if=pflash,unit=1,format=raw,auto-read-only=off,file=/run/vars.fd" in argv
    assert "virtio-blk-pci,drive=disk,bootindex=0" in argv


def test_extra_disks_are_raw_and_known_by_their_serial() -> None:
    wiring = replace(
        _wiring(),
        extra=(
            ExtraDisk(file=Path("/run/seed.iso"), serial="vmlab-seed", is_read_only=True),
            ExtraDisk(file=Path("/run/out"), serial="vmlab-out"),
        ),
    )
    argv = qemu_argv(_by_firmware(None), wiring)
    assert "if=none,id=vmlab-seed,file=/run/seed.iso,format=raw,cache=unsafe,readonly=on" in argv
    assert "virtio-blk-pci,drive=vmlab-seed,serial=vmlab-seed" in argv
    assert "if=none,id=vmlab-out,file=/run/out,format=raw,cache=unsafe,auto-read-only=off" in argv
    # The guest finds the machine's own disk first.
    assert argv.index("virtio-blk-pci,drive=disk,bootindex=0") < argv.index(
        "virtio-blk-pci,drive=vmlab-seed,serial=vmlab-seed"
    )


def test_the_proof_by_a_disk_keeps_nothing_that_is_written_to_it() -> None:
    argv = proof_argv(
        _by_firmware(None), cpu_model="host", console=Path("/run/console"), names=Names(), disk=Path("/store/disk")
    )
    assert "if=none,id=disk,file=/store/disk,format=qcow2,snapshot=on" in argv
    assert argv[-2:] == ["-serial", "file:/run/console"]


def test_a_root_file_system_on_a_partition_is_told_to_the_kernel() -> None:
    made = replace(image(Path("/store/image")), root="root=UUID=1-2 rootflags=subvol=root")
    spec = machine_spec(made, Accelerator.TCG, cpus=2, memory_mib=1024)
    assert spec.kernel is not None
    assert spec.kernel.command_line.startswith("root=UUID=1-2 rootflags=subvol=root rw console=ttyS0 ")
