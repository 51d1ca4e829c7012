# SPDX-License-Identifier: MIT
"""The processor's name on x86 and arm64, and the detection of virtual machines on both."""

from __future__ import annotations

import pytest

from vmlab.host.processor import Processor, processor_of, read_processor, surroundings_of

_X86 = """processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 106
model name\t: Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz
flags\t\t: fpu vme {flag} sse2

processor\t: 1
vendor_id\t: GenuineIntel
model name\t: another
"""
_ARM64 = """processor\t: 0
BogoMIPS\t: 243.75
Features\t: fp asimd evtstrm
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x3
CPU part\t: 0xd0c
CPU revision\t: 1
"""
_ARM = processor_of(_ARM64, "aarch64")


def test_an_x86_processor_has_vendor_family_and_model() -> None:
    processor = processor_of(_X86.format(flag="hypervisor"), "x86_64")
    assert processor == Processor(
        architecture="x86_64",
        vendor="GenuineIntel",
        model="Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz",
        family="6, model 106",
        has_hypervisor_flag=True,
    )


def test_a_word_that_contains_the_flag_is_not_the_flag() -> None:
    assert not processor_of(_X86.format(flag="hypervisorish"), "x86_64").has_hypervisor_flag


def test_an_arm64_processor_is_named_by_implementer_and_part() -> None:
    assert (_ARM.vendor, _ARM.model, _ARM.family) == ("Arm", "Arm part 0xd0c variant 0x3 revision 1", "0xd0c")
    unknown = processor_of(_ARM64.replace("0x41", "0x7f"), "aarch64")
    assert (unknown.vendor, unknown.model) == ("0x7f", "0x7f part 0xd0c variant 0x3 revision 1")


@pytest.mark.parametrize("text", ["", "nonsense", "\n\n", ": :\n"])
def test_a_cpuinfo_that_says_nothing_leaves_the_architecture(text: str) -> None:
    assert processor_of(text, "riscv64") == Processor(architecture="riscv64", vendor="", model="riscv64")


def test_this_hosts_processor_has_a_name() -> None:
    assert read_processor().model


def _x86(*, is_virtual: bool) -> Processor:
    return Processor(architecture="x86_64", vendor="GenuineIntel", model="", has_hypervisor_flag=is_virtual)


def test_the_flag_decides_on_x86_and_dmi_names_the_provider() -> None:
    dmi = {"sys_vendor": "Microsoft Corporation", "product_name": "Virtual Machine"}
    around = surroundings_of(_x86(is_virtual=True), dmi, "")
    assert (around.is_virtual, around.provider) == (True, "Hyper-V or Azure")
    assert around.evidence == "the processor has the hypervisor flag; DMI: Microsoft Corporation Virtual Machine"


def test_a_laptop_of_a_vendor_that_also_makes_hypervisors_is_no_virtual_machine() -> None:
    dmi = {"sys_vendor": "Microsoft Corporation", "product_name": "Surface Laptop"}
    around = surroundings_of(_x86(is_virtual=False), dmi, "")
    assert (around.is_virtual, around.provider) == (False, "")


@pytest.mark.parametrize(
    ("vendor", "product", "is_virtual"),
    [
        ("Amazon EC2", "c7g.metal", False),
        ("Amazon EC2", "c7g.large", True),
        ("QEMU", "QEMU Virtual Machine", True),
        ("Google", "Google Compute Engine", True),
        ("Apple Inc.", "Apple Virtualization Generic Platform", True),
        ("Ampere(R)", "Mt. Jade", False),
        ("", "", False),
    ],
)
def test_on_arm64_dmi_decides(vendor: str, product: str, is_virtual: bool) -> None:
    around = surroundings_of(_ARM, {"sys_vendor": vendor, "product_name": product}, "")
    assert around.is_virtual is is_virtual
    assert bool(around.provider) is (is_virtual and vendor != "")


def test_xen_is_known_by_its_own_file() -> None:
    around = surroundings_of(_x86(is_virtual=False), {}, "xen")
    assert (around.is_virtual, around.provider, around.evidence) == (True, "xen", "/sys/hypervisor/type is xen")
