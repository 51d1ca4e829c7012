# SPDX-License-Identifier: MIT
"""Bad modules, one fault each, on real kernels: the lab's verdicts must match zoo.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmlab.catalogue.target import Target
from vmlab.image.kernel_config import has_option
from vmlab.lab.lab import Lab

from .faults import NOT_VISIBLE, Fault, load_faults, stated_options
from .trial import try_out


@pytest.mark.parametrize("fault", load_faults(), ids=lambda fault: fault.name)
def test_the_lab_gives_the_right_verdict(
    fault: Fault, target: Target, vmlab_lab: Lab, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    right = fault.on(target.id)
    seen = try_out(fault, vmlab_lab, target, tmp_path)
    is_right = seen.verdict in right.verdict.split(" or ")
    cell = seen.verdict if is_right else f"WRONG: {seen.verdict}, not {right.verdict}"
    request.node.user_properties += [("zoo.fault", fault.name), ("zoo.target", target.id), ("zoo.cell", cell)]
    assert is_right, f"{seen.verdict!r}, and should be {right.verdict!r}:\n{seen.evidence}"
    if right.verdict == NOT_VISIBLE:
        image = vmlab_lab.testbed(target).image
        assert has_option(image, "CONFIG_MODULES"), "the kernel's configuration cannot be read"
        stated = stated_options(right.reason)
        assert stated, f"{right.reason}: names no option"
        assert {option: has_option(image, option) for option in stated} == stated
        pytest.skip(f"not visible on this kernel: {right.reason}")
