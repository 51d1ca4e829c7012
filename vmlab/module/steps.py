# SPDX-License-Identifier: MIT
"""The steps of a build before Kbuild: restrictions of the package, patches, and commands that make sources.

They run in the confinement of the build. What they make is an input of the build, not a source: it is made again for
each kernel.
"""

from __future__ import annotations

import posixpath
import re
import shlex

from vmlab.catalogue.target import Architecture
from vmlab.errors import BuildError, hides_frames
from vmlab.image.image import Image
from vmlab.image.kernel_config import read_options
from vmlab.module.build_root import Outcome, Place
from vmlab.module.source import Source
from vmlab.module.tree.confined import matcher_in
from vmlab.module.tree.declared import rust_source
from vmlab.module.tree.description import Description, Fact, Patch
from vmlab.module.tree.dkms import refusal
from vmlab.module.tree.dkms_conf import dkms_variables
from vmlab.module.tree.files import TreeFiles
from vmlab.module.tree.kbuild import KernelFacts, read_kbuild
from vmlab.reason.command import last_words
from vmlab.reason.network import lacks_network

__tracebackhide__ = hides_frames

_MACHINES = {Architecture.AMD64: "x86_64", Architecture.ARM64: "aarch64"}
_ADDRESS = re.compile(r"(?:https?|ftp|git)://[^\s'\"]+/([\w.+-]+)")
_NOT_FOUND = re.compile(r"(?:^|[\s:])(?P<program>[\w.+-]+): (?:command )?not found", re.MULTILINE)
_SHOWN_LINES = 25


def kernel_facts(image: Image) -> KernelFacts:
    """Return the facts about an image's kernel that a description depends on."""
    return KernelFacts(release=image.release, machine=_MACHINES[image.architecture], config=read_options(image))


def require_allowed(
    description: Description, source: Source, kernel: KernelFacts, place: Place, *, timeout_s: float
) -> None:
    """Raise `BuildError` if the package excludes this kernel, or if the module needs a language that it lacks."""
    matches = matcher_in(place)
    for each in description.restrictions:
        why = refusal(each, kernel, matches)
        if why:
            raise BuildError(
                f"{source.name} is not for {kernel.release}: {each.origin}: BUILD_EXCLUSIVE_{each.directive}: {why}",
                hint="choose other kernels with --vmlab-target",
            )
    rust = rust_source(description.modules)
    if rust:
        _require_rust(rust, source, kernel, place, timeout_s=timeout_s)


def _require_rust(rust: str, source: Source, kernel: KernelFacts, place: Place, *, timeout_s: float) -> None:
    build = f"/lib/modules/{kernel.release}/build"
    missing = "" if kernel.config.get("CONFIG_RUST") == "y" else "this kernel is built without CONFIG_RUST"
    if not missing and place.run("command -v rustc", timeout_s=timeout_s).status != 0:
        missing = "rustc is missing"
    if not missing and place.run(f"ls {build}/rust/libkernel.rmeta", timeout_s=timeout_s).status != 0:
        missing = "the kernel's headers lack rust/libkernel.rmeta"
    if missing:
        raise BuildError(
            f"{source.name} does not build on {kernel.release}: {rust} is written in Rust, and {missing}",
            hint="use a kernel with Rust and its headers",
        )


def prepare(description: Description, source: Source, kernel: KernelFacts, place: Place, *, timeout_s: float) -> str:
    """Apply the patches and run the steps of a description; returns their output, with the commands.

    Raises `BuildError` if one fails.
    """
    if description.patches:
        # patch(1) gives a file the owner of the old one, who has no number in the namespaces of a build.
        name = shlex.quote(source.build_name)
        own = f"cp -a --no-preserve=ownership {name} .vmlab-own && rm -rf {name} && mv .vmlab-own {name}"
        place.run(own, timeout_s=timeout_s)
    log = [_patch(each, source, kernel, place, timeout_s=timeout_s) for each in description.patches]
    variables = dkms_variables(kernel.release, kernel.machine)
    setting = " ".join(f"{name}={shlex.quote(text)}" for name, text in variables.items())
    for step in description.prepare:
        inner = shlex.quote(f"cd {shlex.quote(source.build_name)} && {step.value}")
        outcome = place.run(f"env {setting} sh -c {inner}", timeout_s=timeout_s)
        log.append(f"$ {step.value}\n{outcome.output}")
        if outcome.status != 0:
            raise _step_failure(step, source, outcome)
    return "".join(log)


def _patch(patch: Patch, source: Source, kernel: KernelFacts, place: Place, *, timeout_s: float) -> str:
    name, folder = shlex.quote(patch.name), posixpath.dirname(posixpath.dirname(patch.name)) or "."
    if patch.name not in source.sums:
        raise BuildError(f"{patch.origin}: {patch.name!r} is missing", hint="add it to the tree")
    if patch.match and not matcher_in(place)(patch.match, kernel.release):
        return ""
    where = shlex.quote(posixpath.join(source.build_name, folder))
    command = f'd=$PWD/{shlex.quote(source.build_name)} && cd {where} && patch -p1 <"$d"/{name}'
    outcome = place.run(command, timeout_s=timeout_s)
    if outcome.status != 0:
        raise _step_failure(Fact(f"patch -p1 <{patch.name}", patch.origin), source, outcome)
    return f"$ patch -p1 <{patch.name}\n{outcome.output}"


def _step_failure(step: Fact[str], source: Source, outcome: Outcome) -> BuildError:
    words = last_words(outcome.output, "") or "it printed nothing"
    detail = "\n".join(outcome.output.rstrip().splitlines()[-_SHOWN_LINES:])
    address = _ADDRESS.search(f"{step.value}\n{outcome.output}")
    program = _NOT_FOUND.search(outcome.output)
    hint = f"the step is from {step.origin}; state another one: prepare = '…' in vmlab.toml"
    if lacks_network(step.value, outcome.output, ""):
        file = address[1] if address else "FILE"
        hint = f"builds have no network: download {file!r} and name it in vmlab.toml: files = {{ '{file}' = 'PATH' }}"
    elif program is not None:
        hint = f"name the Debian package that has it in vmlab.toml: packages = ['{program['program']}']"
    status = f"{step.value[:200]!r} ended with status {outcome.status}: {words}"
    return BuildError(f"{source.name} cannot be prepared: {status}", hint=hint, detail=detail)


def why_empty(source: Source, description: Description, kernel: KernelFacts) -> tuple[str, str]:
    """Return why a build made no module, and a hint: the option that selects it, if there is one."""
    tree, make = TreeFiles(source), {name: fact.value for name, fact in description.make.items()}
    for directory in description.sources:
        for module in read_kbuild(tree, directory.value, make=make).modules:
            if module.condition and kernel.config.get(module.condition) != "m":
                value = kernel.config.get(module.condition, "not set")
                return (
                    f"{module.origin}: obj-$({module.condition}) is empty: the option is {value} in this kernel",
                    f"select it in vmlab.toml: make = {{ {module.condition} = 'm' }}",
                )
    return "", "add a line `obj-m := NAME.o` to its Kbuild file"
